import type { RunOutcome } from '@roundsman/admin/contract'

export type { RunOutcome }

export const RUN_OUTCOMES = [
  'running',
  'success',
  'failed',
  'cancelled',
  'blocked',
  'lost',
  'expired',
  'givenBack',
  'suspended',
] as const satisfies RunOutcome[]

export const OUTCOME_WORDS: Readonly<Record<RunOutcome, string>> = {
  running: 'Running',
  success: 'Success',
  failed: 'Failed',
  cancelled: 'Cancelled',
  blocked: 'Blocked',
  lost: 'Worker lost',
  expired: 'Expired',
  givenBack: 'Given back',
  suspended: 'Suspended',
}
