import type { RunStatus } from './jobRuns.ts'

/**
 * What became of a run, as people mean it. Of those that have not succeeded, `failed` are the ones that their handler or its
 * time-out ended; the others ended by no fault of theirs: somebody cancelled them, their guard blocked them, their work
 * expired, their worker was lost, or a worker that stopped gave their work back to the queue.
 */
export const RUN_OUTCOMES = [
  'running',
  'success',
  'failed',
  'cancelled',
  'blocked',
  'expired',
  'lost',
  'givenBack',
] as const
export type RunOutcome = (typeof RUN_OUTCOMES)[number]

/** By the codes that the engine ends such runs with. */
const CODES = {
  cancelled: 'cancelled',
  blocked: 'guard_blocked',
  expired: 'expired',
  lost: 'worker_lost',
  givenBack: 'drained',
} as const satisfies Partial<Record<RunOutcome, string>>

const OUTCOMES: ReadonlyMap<string, RunOutcome> = new Map(
  Object.entries(CODES).map(([outcome, code]) => [code, outcome as keyof typeof CODES]),
)

export function runOutcome(run: { status: RunStatus; errorCode: string | null }): RunOutcome {
  if (run.status !== 'failed') return run.status
  return OUTCOMES.get(run.errorCode ?? '') ?? 'failed'
}

const OTHER_CODES = Object.values(CODES)
  .map((code) => `'${code}'`)
  .join(', ')

/** Which runs failed, were cancelled and so on, of a `run` that has ended: literals, which partial indexes go by. */
export function hasFailedAs(outcome: Exclude<RunOutcome, 'running' | 'success'>): string {
  return outcome === 'failed'
    ? `run."errorCode" is not null and run."errorCode" not in (${OTHER_CODES})`
    : `run."errorCode" = '${CODES[outcome]}'`
}
