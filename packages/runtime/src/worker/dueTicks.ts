import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { nextTicks, type Schedule } from '../contract/index.ts'

/** What has become due: the newest ticks one by one, and what lies before them as a whole. */
export interface DueTicks {
  /** Oldest first, at most MAX_LISTED. */
  listed: Date[]
  earlier: { count: number; from: Date; through: Date } | null
}

export const MAX_LISTED = 100

/** The ticks after `cursor` up to and including `now`, from the calendar alone. */
export async function dueTicks(schedule: Schedule, cursor: Date, now: Date): Promise<DueTicks> {
  const listed: Date[] = []
  let earlier = null as DueTicks['earlier']
  let seen = 0
  for (const tick of nextTicks(schedule, cursor)) {
    if (tick > now) break
    listed.push(tick)
    const oldest = listed.length > MAX_LISTED ? listed.shift() : undefined
    if (oldest) {
      earlier = { count: (earlier?.count ?? 0) + 1, from: earlier?.from ?? oldest, through: oldest }
    }
    // A schedule by the second that was down for a week has 600,000 ticks to count.
    if (++seen % 500 === 0) await yieldToEventLoop()
  }
  return { listed, earlier }
}
