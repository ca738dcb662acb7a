import type { Schedule } from '../job/defineJob.ts'
import type { DueTicks } from './dueTicks.ts'

/*
 * A tick is due, and then has one of four outcomes for good. The scheduler of one worker moves it: whoever advances the
 * schedule's cursor past it writes its row of JobTick, and the work of an enqueued tick, in the same transaction.
 *
 *   due        The cursor has not passed it yet, and it has no row. Every worker tries once it is due.
 *   enqueued   Its work is in the queue, under the row's workId. What becomes of that work is told by its runs.
 *   coalesced  The latest due tick is enqueued and makes up for this one, as the job's `missed` policy has it.
 *   missed     Nobody decided it within the catch-up window (on time, with `missed: 'skip'`), or too many ticks were due.
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
  /** How many ticks the row stands for, the last of them `through`. Where there were more than are counted, `reason` says so. */
  count: number
  through: Date | null
}

export interface TickSituation {
  now: Date
  isPaused: boolean
  /** The job has work that waits or runs. */
  isUnfinished: boolean
}

/** With `missed: 'skip'`, a tick that is decided within this time after it was due is on time. */
const ON_TIME_MS = 10_000

/** Decides each due tick by the job's policies. It is pure, and puts every tick into exactly one row. */
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
    // If an older tick could be enqueued, so can the latest one, and it makes up for the older ones.
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
