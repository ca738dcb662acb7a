import type { RunStatus } from '@roundsman/fastify/contract'
import { readRunDetails } from './readRunDetails.ts'

/** What became of a run, as people mean it: its status, or what its failure really was. */
export type RunOutcome = RunStatus | 'cancelled' | 'blocked' | 'lost' | 'expired' | 'givenBack'

/** By the codes that the engine ends such runs with. */
const OUTCOMES: ReadonlyMap<string, RunOutcome> = new Map([
  ['cancelled', 'cancelled'],
  ['guard_blocked', 'blocked'],
  ['worker_lost', 'lost'],
  ['expired', 'expired'],
  ['drained', 'givenBack'],
])

export function runOutcome(run: { status: RunStatus; details: unknown }): RunOutcome {
  if (run.status !== 'failed') return run.status
  return OUTCOMES.get(readRunDetails(run.details).error?.code ?? '') ?? 'failed'
}
