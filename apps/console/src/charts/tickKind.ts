import type { ConsoleTick } from '@roundsman/admin/contract'

/** The kinds of marks of ticks. The first four have work in the queue. */
export const TICK_KINDS = [
  'success',
  'failed',
  'running',
  'waiting',
  'coalesced',
  'missed',
  'skipped',
] as const
export type TickKind = (typeof TICK_KINDS)[number]

/** The kind of a tick's mark: the status of its run, or its outcome when it has none. */
export function tickKind({ outcome, run }: Pick<ConsoleTick, 'outcome' | 'run'>): TickKind {
  if (outcome !== 'enqueued') return outcome
  // Its work waits in a step. Another run continues it.
  return run?.status === 'suspended' ? 'running' : (run?.status ?? 'waiting')
}

export const TICK_WORDS: Readonly<Record<TickKind, string>> = {
  success: 'Success',
  failed: 'Failed',
  running: 'Running',
  waiting: 'Waiting',
  coalesced: 'Covered by a later tick',
  missed: 'Missed',
  skipped: 'Skipped',
}
