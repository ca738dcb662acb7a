import type { RunOutcome, RunStatus } from '@roundsman/fastify/contract'

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
}

/** By the codes that the engine ends such runs with. */
const BY_CODE: ReadonlyMap<string | null, RunOutcome> = new Map([
  ['cancelled', 'cancelled'],
  ['guard_blocked', 'blocked'],
  ['worker_lost', 'lost'],
  ['expired', 'expired'],
  ['drained', 'givenBack'],
])

/** Of a point in a chart, which is sent without it. */
export function runOutcome(run: { status: RunStatus; errorCode: string | null }): RunOutcome {
  return run.status === 'failed' ? (BY_CODE.get(run.errorCode) ?? 'failed') : run.status
}
