import type { Schedule } from '../index.ts'
import type { DueTicks } from './dueTicks.ts'

export const TICK_OUTCOMES = ['enqueued', 'coalesced', 'missed', 'skipped'] as const
export type TickOutcome = (typeof TICK_OUTCOMES)[number]

/** One row of the tick ledger. */
export interface TickDecision {
  scheduledFor: Date
  outcome: TickOutcome
  reason: string | null
  /** More than 1 for a row that stands for several ticks, up to and including `through`. */
  count: number
  through: Date | null
}

export interface TickSituation {
  now: Date
  isPaused: boolean
  /** An earlier run of the job, or work for one, has not ended. */
  isUnfinished: boolean
}

/** A tick decided within this time after it was due counts as seen in time. */
const ON_TIME_MS = 10_000

/** What becomes of each due tick, by the job's policies. Pure; every tick is in exactly one row. */
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
    // Where an older one could be enqueued, so can the latest: only then does it make up for the others.
    if (decision.outcome !== 'enqueued' || schedule.missed === 'all' || tick === latest)
      return decision
    return decide(tick, 'coalesced', `made up for by ${latest.toISOString()}`)
  })
  if (due.earlier === null) return listed
  const { count, from, through } = due.earlier
  const [outcome, reason] = isPaused
    ? (['skipped', 'paused'] as const)
    : (['missed', 'more ticks were due than are made up for'] as const)
  return [{ scheduledFor: from, outcome, reason, count, through }, ...listed]
}
