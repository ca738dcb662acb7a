import {
  MISSED_POLICIES,
  OVERLAP_POLICIES,
  type MissedPolicy,
  type OverlapPolicy,
  type TickOutcome,
} from '@roundsman/engine/internal'
import type { ScheduledJob } from '@roundsman/engine'
import {
  simulateJob,
  type SimulatedRun,
  type SimulatedTick,
  type TimeRange,
} from './simulateJob.ts'

export type OutcomeCounts = Record<TickOutcome, number>

export interface PolicyResult extends OutcomeCounts {
  missedPolicy: MissedPolicy
  overlapPolicy: OverlapPolicy
  isOwn: boolean
}

/** What each combination of policies would make of an outage's ticks, given the runs under way when it began. */
export async function comparePolicies(
  job: ScheduledJob,
  options: { outage: TimeRange; durationMs: number; runs: readonly SimulatedRun[]; limit: number },
): Promise<PolicyResult[]> {
  const { outage, durationMs, runs, limit } = options
  const results: PolicyResult[] = []
  for (const missedPolicy of MISSED_POLICIES) {
    for (const overlapPolicy of OVERLAP_POLICIES) {
      // defineJob refuses this pair: `all` wants a run of every tick, and `skip` lets none wait for the run before.
      if (missedPolicy === 'all' && overlapPolicy === 'skip') continue
      const schedule = { ...job.schedule, missed: missedPolicy, overlap: overlapPolicy }
      const variant = { ...job, schedule, isExclusive: overlapPolicy !== 'allow' }
      // A tick that is due just when workers are back is decided together with those before it.
      const to = new Date(outage.to.getTime() + 1)
      const { ticks } = await simulateJob(variant, {
        from: outage.from,
        to,
        outage,
        durationMs,
        runs,
        limit,
      })
      const { missed, overlap } = job.schedule
      const isOwn = missed === missedPolicy && overlap === overlapPolicy
      results.push({ missedPolicy, overlapPolicy, isOwn, ...countOutcomes(ticks) })
    }
  }
  return results
}

/** How many ticks had each outcome. One row of the ledger may stand for several. */
export function countOutcomes(
  ticks: readonly Pick<SimulatedTick, 'outcome' | 'count'>[],
): OutcomeCounts {
  const counts: OutcomeCounts = { enqueued: 0, coalesced: 0, missed: 0, skipped: 0 }
  for (const { outcome, count } of ticks) counts[outcome] += count
  return counts
}
