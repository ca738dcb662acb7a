import { setImmediate as letOthers } from 'node:timers/promises'
import { nextTicks, previousTicks } from './nextTicks.ts'
import type { Schedule } from '../job/defineJob.ts'

/** The ticks that have become due: the newest one by one, and the earlier ones as one range. */
export interface DueTicks {
  /** The newest ticks, oldest first, at most MAX_LISTED. */
  listed: Date[]
  /** `isOver`: there were more than `count`, which is then MAX_COUNTED. */
  earlier: { count: number; isOver: boolean; from: Date; through: Date } | null
}

export const MAX_LISTED = 100
/** Maximum of counted ticks: a week of a schedule by the minute. */
export const MAX_COUNTED = 10_000
const TURN = 100

/** Finds the ticks after `cursor` up to and including `now`, by the calendar only. */
export async function dueTicks(schedule: Schedule, cursor: Date, now: Date): Promise<DueTicks> {
  const oldest: Date[] = []
  for (const tick of nextTicks(schedule, cursor)) {
    if (tick > now) break
    oldest.push(tick)
    if (oldest.length > MAX_LISTED) break
  }
  const [from] = oldest
  if (from === undefined || oldest.length <= MAX_LISTED) return { listed: oldest, earlier: null }
  const [through = from, ...listed] = previousTicks(schedule, now, MAX_LISTED + 1)
  let count = 0
  for (const tick of nextTicks(schedule, cursor)) {
    if (tick > through || ++count > MAX_COUNTED) break
    if (count % TURN === 0) await letOthers()
  }
  const isOver = count > MAX_COUNTED
  return { listed, earlier: { count: Math.min(count, MAX_COUNTED), isOver, from, through } }
}
