import { nextTicks, previousTicks } from './nextTicks.ts'
import type { Schedule } from '../job/defineJob.ts'
import { countTicks } from './countTicks.ts'

/** The ticks that have become due: the newest one by one, and the earlier ones as one range. */
export interface DueTicks {
  /** The newest ticks, oldest first, at most MAX_LISTED. */
  listed: Date[]
  earlier: { count: number; from: Date; through: Date } | null
}

export const MAX_LISTED = 100

/** Finds the ticks after `cursor` up to and including `now`, by the calendar alone. */
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
  return {
    listed,
    earlier: { count: await countTicks(schedule, cursor, through), from, through },
  }
}
