import { nextTicks, type Schedule } from '@roundsman/runtime/contract'
import type { ConsoleJobDetail } from './consoleContract.ts'

const DAY_MS = 86_400_000
const HORIZON_MS = 30 * DAY_MS
const MAX_TICKS = 1_000
/** No zone has ever changed its offset by more, and none twice within it. */
const AROUND_MS = 3 * 3_600_000

/** The ticks of the next 30 days, in the schedule's own zone, with those that a change of clocks touches. */
export function describeUpcoming(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  from: Date,
): Pick<ConsoleJobDetail, 'upcoming' | 'isCut'> {
  const offsetAt = offsetsOf(schedule.timeZone)
  const end = from.getTime() + HORIZON_MS
  const upcoming: ConsoleJobDetail['upcoming'] = []
  for (const tick of nextTicks(schedule, from)) {
    const at = tick.getTime()
    if (at > end) break
    if (upcoming.length === MAX_TICKS) return { upcoming, isCut: true }
    const offsetMs = offsetAt(at)
    upcoming.push({
      at: tick.toISOString(),
      local: new Date(at + offsetMs).toISOString().slice(0, 19).replace('T', ' '),
      offset: formatOffset(offsetMs),
      mark: markOf(at, offsetAt),
    })
  }
  return { upcoming, isCut: false }
}

/** Whether its local time comes twice that day, or is the first after one that does not come at all. */
function markOf(
  at: number,
  offsetAt: (at: number) => number,
): ConsoleJobDetail['upcoming'][number]['mark'] {
  const [before, own, after] = [offsetAt(at - AROUND_MS), offsetAt(at), offsetAt(at + AROUND_MS)]
  if (own > before && offsetAt(at - 1) === before) return 'afterGap'
  // The same reading of the clock, before or after it was set back.
  const isFirst = after < own && offsetAt(at + (own - after)) === after
  const isSecond = before > own && offsetAt(at - (before - own)) === before
  return isFirst || isSecond ? 'repeatedHour' : null
}

function offsetsOf(timeZone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (at) => {
    const parts = Object.fromEntries(
      format.formatToParts(at).map(({ type, value }) => [type, Number(value)]),
    )
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1_000) * 1_000
  }
}

function formatOffset(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000)
  const digits = (value: number) => String(value).padStart(2, '0')
  return `${offsetMs < 0 ? '-' : '+'}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`
}
