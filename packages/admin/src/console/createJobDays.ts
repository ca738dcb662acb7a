import {
  findOldestStart,
  tallyDurationsByHour,
  type HourOfDurations,
} from '@roundsman/engine/internal'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleJobDetail } from '../contract.ts'

type Day = ConsoleJobDetail['days'][number]
type Hour = ConsoleJobDetail['hours'][number]

/*
 * A job's calendar, which is kept between requests so that a request costs as much after a year of runs as after an hour.
 * Hours and days are those of UTC.
 *
 * An hour is
 *   open      Its runs may change: every request reads it again. Ends once the hour has been over for SETTLE_MS, none of its
 *             runs is under way, and all hours before it are settled.
 *   settled   Its runs are added to its day, and no request reads it again.
 *
 * A day with a settled hour is
 *   filling   It keeps how long its runs took, because percentiles of hours do not add up. Ends with its last hour.
 *   closed    It is kept as it is shown.
 *
 * Both are forgotten when they are older than the days shown or than the oldest run, and when MAX_RUNS runs are later.
 */

/**
 * Those of the last 365 days on which the job had runs, and, while none is older than two days ago, their hours. The oldest
 * come first. `cutBefore`: null unless some runs before this instant are left out.
 */
export type JobDays = (
  name: string,
  now: Date,
) => Promise<Pick<ConsoleJobDetail, 'days' | 'hours' | 'cutBefore'>>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DAYS_SHOWN = 365
/** So few days say little as days, and are shown by the hour. */
const DAYS_SHOWN_BY_HOUR = 3
/** Workers' clocks disagree, and a start is committed a little later. */
const SETTLE_MS = 10 * 60_000
/** The latest runs of which a calendar is made, so that a job that runs every second costs no more than others. */
const MAX_RUNS = 50_000

/** The runs of some hours. */
interface Tally {
  runs: number
  success: number
  failed: number
  stopped: number
  /** How many runs took how many milliseconds. */
  durations: Map<number, number>
}

type KeptDay = { kind: 'filling'; tally: Tally } | { kind: 'closed'; shown: Day; runs: number }

interface Calendar {
  /** Every hour before this instant is settled. */
  settledUpToMs: number
  /** Keyed by the instant at which the day begins, the oldest first. */
  days: Map<number, KeptDay>
  /** The settled hours, keyed by the instant at which the hour begins, of the days that may be shown by the hour. */
  hours: Map<number, Hour>
  /** Of what ran before this instant some may be left out, since MAX_RUNS runs are later. */
  cutBeforeMs: number
}

/** Makes what reads the calendars of jobs. */
export function createJobDays(reader: JobsReader, maxRuns = MAX_RUNS): JobDays {
  const calendars = new Map<string, Calendar>()

  return async function readDays(name, now) {
    const nowMs = now.getTime()
    const oldestShownMs = nowMs - DAYS_SHOWN * DAY_MS
    const fromMs = settledUpTo(calendars.get(name), nowMs) ?? oldestShownMs
    const [hours, oldestRun] = await Promise.all([
      tallyDurationsByHour(reader, {
        name,
        from: new Date(Math.max(fromMs, oldestShownMs)),
        maxRuns,
      }),
      findOldestStart(reader, name),
    ])
    const runsRead = hours.reduce((sum, { runs }) => sum + runs, 0)
    const isAllThatIsShown = fromMs === oldestShownMs || runsRead >= maxRuns
    const calendar = isAllThatIsShown ? renew(name, fromMs) : current(name, fromMs, nowMs)
    // Another request has begun the calendar anew meanwhile, and what it settled ends before these hours begin.
    if (calendar.settledUpToMs < fromMs) return await readDays(name, now)
    const [first] = hours
    if (isAllThatIsShown && runsRead >= maxRuns && first) calendar.cutBeforeMs = endOfHour(first)

    const oldestRunMs = oldestRun === null ? Infinity : Date.parse(oldestRun)
    forgetBefore(calendar, Math.max(oldestShownMs, oldestRunMs))
    const openHours = settleHours(calendar, hours, nowMs)
    closeDays(calendar)
    forgetSurplus(calendar, maxRuns)
    const byHourFromMs = startOfDay(nowMs) - (DAYS_SHOWN_BY_HOUR - 1) * DAY_MS
    forgetHoursBefore(calendar, byHourFromMs)

    const days = presentDays(calendar, openHours)
    const [firstDay] = days
    const isShownByHour = firstDay !== undefined && Date.parse(firstDay.date) >= byHourFromMs
    const { cutBeforeMs } = calendar
    const isCut = cutBeforeMs > Math.max(oldestShownMs, oldestRunMs)
    return {
      days,
      hours: isShownByHour ? presentHours(calendar, openHours) : [],
      cutBefore: isCut ? new Date(cutBeforeMs).toISOString() : null,
    }
  }

  function renew(name: string, settledUpToMs: number): Calendar {
    const calendar: Calendar = {
      settledUpToMs,
      days: new Map(),
      hours: new Map(),
      cutBeforeMs: -Infinity,
    }
    calendars.set(name, calendar)
    return calendar
  }

  /** The calendar as it is now: other requests may have settled more meanwhile, or begun it anew. */
  function current(name: string, fromMs: number, nowMs: number): Calendar {
    const calendar = calendars.get(name)
    const isUsable = settledUpTo(calendar, nowMs) !== null
    return calendar !== undefined && isUsable ? calendar : renew(name, fromMs)
  }
}

/** Up to when a calendar is settled. Null when there is none, or it is ahead of the clock, which was put back. */
function settledUpTo(calendar: Calendar | undefined, nowMs: number): number | null {
  return calendar !== undefined && calendar.settledUpToMs <= nowMs ? calendar.settledUpToMs : null
}

/** Settles what can be, and returns the hours that stay open. */
function settleHours(
  calendar: Calendar,
  hours: readonly HourOfDurations[],
  nowMs: number,
): HourOfDurations[] {
  const unsettled = hours.filter((hour) => endOfHour(hour) > calendar.settledUpToMs)
  const isOpen = (hour: HourOfDurations) => hour.running > 0 || endOfHour(hour) + SETTLE_MS > nowMs
  const firstOpenIndex = unsettled.findIndex(isOpen)
  const settledCount = firstOpenIndex === -1 ? unsettled.length : firstOpenIndex
  for (const hour of unsettled.slice(0, settledCount)) keepHour(calendar, hour)
  const openHours = unsettled.slice(settledCount)
  // Hours without runs are not among `hours`, and are settled here as well.
  const overUpToMs = Math.floor((nowMs - SETTLE_MS) / HOUR_MS) * HOUR_MS
  const firstOpenMs = openHours[0] === undefined ? Infinity : startOfHour(openHours[0])
  calendar.settledUpToMs = Math.max(calendar.settledUpToMs, Math.min(overUpToMs, firstOpenMs))
  return openHours
}

/** Adds an hour that is settled now to its day. */
function keepHour(calendar: Calendar, hour: HourOfDurations): void {
  const hourMs = startOfHour(hour)
  const dayMs = startOfDay(hourMs)
  const day = calendar.days.get(dayMs) ?? { kind: 'filling', tally: emptyTally() }
  if (day.kind === 'filling') addHour(day.tally, hour)
  calendar.days.set(dayMs, day)
  calendar.hours.set(hourMs, presentHour(hour))
}

function closeDays({ days, settledUpToMs }: Calendar): void {
  for (const [dayMs, day] of days) {
    if (day.kind === 'closed' || dayMs + DAY_MS > settledUpToMs) continue
    const { tally } = day
    days.set(dayMs, { kind: 'closed', shown: presentDay(dayMs, tally), runs: tally.runs })
  }
}

function forgetBefore(calendar: Calendar, beforeMs: number): void {
  const { days } = calendar
  for (const dayMs of days.keys()) if (dayMs + DAY_MS <= beforeMs) days.delete(dayMs)
  forgetHoursBefore(calendar, beforeMs)
}

function forgetHoursBefore({ hours }: Calendar, beforeMs: number): void {
  for (const hourMs of hours.keys()) if (hourMs + HOUR_MS <= beforeMs) hours.delete(hourMs)
}

/** Forgets the oldest days, as long as the later ones have enough runs without them. */
function forgetSurplus(calendar: Calendar, maxRuns: number): void {
  const runsOf = (day: KeptDay) => (day.kind === 'filling' ? day.tally.runs : day.runs)
  let runsLater = 0
  for (const day of calendar.days.values()) runsLater += runsOf(day)
  for (const [dayMs, day] of calendar.days) {
    runsLater -= runsOf(day)
    if (runsLater < maxRuns) return
    calendar.cutBeforeMs = dayMs + DAY_MS
    forgetBefore(calendar, calendar.cutBeforeMs)
  }
}

function presentHours({ hours }: Calendar, openHours: readonly HourOfDurations[]): Hour[] {
  return [...hours.values(), ...openHours.map(presentHour)]
}

function presentDays({ days }: Calendar, openHours: readonly HourOfDurations[]): Day[] {
  const openByDay = Map.groupBy(openHours, (hour) => startOfDay(startOfHour(hour)))
  const allDays = new Set([...days.keys(), ...openByDay.keys()])
  return [...allDays].map((dayMs) => {
    const kept = days.get(dayMs)
    if (kept?.kind === 'closed') return kept.shown
    const tally = copyTally(kept?.tally ?? emptyTally())
    for (const hour of openByDay.get(dayMs) ?? []) addHour(tally, hour)
    return presentDay(dayMs, tally)
  })
}

function emptyTally(): Tally {
  return { runs: 0, success: 0, failed: 0, stopped: 0, durations: new Map() }
}

function copyTally(tally: Tally): Tally {
  return { ...tally, durations: new Map(tally.durations) }
}

/** Adds to `tally` itself. */
function addHour(tally: Tally, hour: HourOfDurations): void {
  tally.runs += hour.runs
  tally.success += hour.success
  tally.failed += hour.failed
  tally.stopped += hour.stopped
  for (const [text, count] of Object.entries(hour.durations ?? {})) {
    const ms = Number(text)
    tally.durations.set(ms, (tally.durations.get(ms) ?? 0) + count)
  }
}

function presentDay(dayMs: number, tally: Tally): Day {
  return { date: new Date(dayMs).toISOString().slice(0, 10), ...outcomesOf(tally) }
}

function presentHour(hour: HourOfDurations): Hour {
  const tally = emptyTally()
  addHour(tally, hour)
  return { from: new Date(hour.hour).toISOString(), ...outcomesOf(tally) }
}

function outcomesOf({ success, failed, stopped, durations }: Tally) {
  const sorted = [...durations].toSorted(([one], [other]) => one - other)
  const [p50Ms, p95Ms] = [percentile(sorted, 0.5), percentile(sorted, 0.95)]
  return { success, failed, stopped, p50Ms, p95Ms }
}

/** Counted durations, the shortest first. */
type Durations = readonly [ms: number, count: number][]

/** Like PostgreSQL's percentile_cont: between two durations, in proportion. */
function percentile(durations: Durations, share: number): number | null {
  const total = durations.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return null
  const rank = share * (total - 1)
  const [below, above] = [Math.floor(rank), Math.ceil(rank)]
  const belowMs = durationAt(durations, below)
  return belowMs + (durationAt(durations, above) - belowMs) * (rank - below)
}

/** The duration at this place, counted from 0, if each stood there as often as it is counted. */
function durationAt(durations: Durations, place: number): number {
  let seen = 0
  for (const [ms, count] of durations) {
    seen += count
    if (place < seen) return ms
  }
  return 0
}

function startOfHour({ hour }: HourOfDurations): number {
  return Date.parse(hour)
}

function endOfHour(hour: HourOfDurations): number {
  return startOfHour(hour) + HOUR_MS
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS
}
