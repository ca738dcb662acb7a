import { nextOf } from '../tick/storedSchedule.ts'
import { createLocalTime, type LocalTime } from '../tick/localTime.ts'
import { nextTick } from '../tick/nextTicks.ts'
import { checkPreview } from './checkSchedules.ts'

export interface PreviewQuery {
  cron: string
  /** IANA name. Default `UTC`. */
  timeZone?: string | undefined
  startsAt?: Date | null | undefined
  endsAt?: Date | null | undefined
  /** Default: now. */
  after?: Date | undefined
  /** How many instants, from 1 to 100. Default 5. */
  count?: number | undefined
}

/** An instant of a schedule, with the local time of its zone. */
export interface PreviewedTick extends LocalTime {
  at: Date
}

/** Lists the next instants of a schedule, for a page on which a user edits one. It does not query the database. */
export function previewSchedule(query: PreviewQuery): PreviewedTick[] {
  const { calendar, startsAt, endsAt, after, count } = checkPreview(query)
  const { describe } = createLocalTime(calendar.timeZone)
  const ticks: PreviewedTick[] = []
  let at = nextOf({ ...calendar, startsAt, endsAt }, after, nextTick)
  while (at !== null && ticks.length < count) {
    ticks.push({ at, ...describe(at) })
    at = nextOf({ ...calendar, startsAt, endsAt }, at, nextTick)
  }
  return ticks
}
