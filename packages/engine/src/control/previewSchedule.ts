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

/** An instant that a schedule names, and what the clocks of its zone show then. */
export interface PreviewedTick extends LocalTime {
  at: Date
}

/** Lists the next instants that a schedule names, for a page on which somebody sets one. It asks no database. */
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
