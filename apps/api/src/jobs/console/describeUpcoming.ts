import { createLocalTime, nextTicks, type Schedule } from '@roundsman/engine'
import type { ConsoleJobDetail } from './consoleContract.ts'

const DAY_MS = 86_400_000
const HORIZON_MS = 30 * DAY_MS
const MAX_TICKS = 1_000

/** The ticks of the next 30 days, in the schedule's own zone, with those that a change of clocks touches. */
export function describeUpcoming(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  from: Date,
): Pick<ConsoleJobDetail, 'upcoming' | 'isCut'> {
  const localTime = createLocalTime(schedule.timeZone)
  const end = from.getTime() + HORIZON_MS
  const upcoming: ConsoleJobDetail['upcoming'] = []
  for (const tick of nextTicks(schedule, from)) {
    if (tick.getTime() > end) break
    if (upcoming.length === MAX_TICKS) return { upcoming, isCut: true }
    upcoming.push({ at: tick.toISOString(), ...localTime.describe(tick) })
  }
  return { upcoming, isCut: false }
}
