import type { Schedule } from '../job/defineJob.ts'
import type { DueTicks } from './dueTicks.ts'

/*
 * A due tick gets one of four final outcomes. The worker that moves the schedule's cursor past it writes its row of JobTick,
 * and the work of an enqueued tick, in the same transaction.
 *
 *   due        The cursor has not passed it yet, and it has no row. Every worker tries to decide it.
 *   enqueued   Its work is in the queue, under the row's workId. The runs of that work have its result.
 *   coalesced  The latest due tick is enqueued and replaces this one, by the job's `missed` policy.
 *   missed     No worker decided it within the catch-up window (on time, with `missed: 'skip'`), or too many ticks were due.
 *   skipped    The schedule is paused, or an earlier run has not ended and the job's `overlap` is 'skip'.
 *
 * The job that prunes runs deletes the row after the retention's `runDays`.
 */

export const TICK_OUTCOMES = ['enqueued', 'coalesced', 'missed', 'skipped'] as const
export type TickOutcome = (typeof TICK_OUTCOMES)[number]

/** One row of the tick ledger. */
export interface TickDecision {
  scheduledFor: Date
  outcome: TickOutcome
  reason: string | null
  /**
   * The number of ticks that the row stands for, the last of them `through`. If there were more than are counted, `reason` says
   * so.
   */
  count: number
  through: Date | null
}

export interface TickSituation {
  now: Date
  isPaused: boolean
  /** The job has work that is waiting or running. */
  isUnfinished: boolean
}

/** With `missed: 'skip'`, a tick that is decided within this time after it was due is on time. */
const ON_TIME_MS = 10_000

/** Decides each due tick by the job's policies. A pure function that puts every tick into exactly one row. */
export function decideTicks(
  schedule: Schedule,
  due: DueTicks,
  situation: TickSituation,
): TickDecision[] {
  const { now, isPaused, isUnfinished } = situation
  const decide = (tick: Date, outcome: TickOutcome, reason: string | null): TickDecision => ({
    scheduledFor: tick,
    outcome,
    reason,
    count: 1,
    through: null,
  })
  const latest = due.listed.at(-1)
  if (latest === undefined) return []

  const limitMs = schedule.missed === 'skip' ? ON_TIME_MS : schedule.catchUpMs
  const tooLate = schedule.missed === 'skip' ? 'not seen in time' : 'beyond the catch-up window'
  const decideOne = (tick: Date): TickDecision => {
    if (isPaused) return decide(tick, 'skipped', 'paused')
    if (now.getTime() - tick.getTime() > limitMs) return decide(tick, 'missed', tooLate)
    if (schedule.overlap === 'skip' && isUnfinished) {
      return decide(tick, 'skipped', 'an earlier run had not ended')
    }
    return decide(tick, 'enqueued', null)
  }
  const listed = due.listed.map((tick) => {
    const decision = decideOne(tick)
    // If an older tick could be enqueued, so can the latest one, which replaces the older ones.
    if (decision.outcome !== 'enqueued' || schedule.missed === 'all' || tick === latest)
      return decision
    return decide(tick, 'coalesced', `made up for by ${latest.toISOString()}`)
  })
  if (due.earlier === null) return listed
  const { count, isOver, from, through } = due.earlier
  const [outcome, why] = isPaused
    ? (['skipped', 'paused'] as const)
    : (['missed', 'more ticks were due than are made up for'] as const)
  const reason = isOver ? `${why}: over ${count.toLocaleString('en')}` : why
  return [{ scheduledFor: from, outcome, reason, count, through }, ...listed]
}
