import {
  findOldestStart,
  tallyDurationsByHour,
  type HourOfDurations,
  type Reader,
} from '@roundsman/engine/client'
import type { ConsoleJobDetail } from '../contract.ts'

type Day = ConsoleJobDetail['days'][number]
type Hour = ConsoleJobDetail['hours'][number]

/**
 * Those of the last 365 days on which the job had runs, and, while none is older than two days ago, their hours. The oldest
 * come first.
 */
export type JobDays = (name: string, now: Date) => Promise<{ days: Day[]; hours: Hour[] }>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DAYS = 365
/** So few days say little as days, and are shown by the hour. */
const YOUNG_DAYS = 3
/** Workers' clocks disagree, and a start is committed a little later. */
const SETTLE_MS = 10 * 60_000
/** The latest runs of which a calendar is made, so that a job that runs every second costs no more than others. */
const MAX_RUNS = 50_000

/** The runs of one hour, or of a day's hours. */
interface Tally {
  runs: number
  success: number
  failed: number
  stopped: number
  /** How many runs took how many milliseconds. */
  durations: Map<number, number>
}

interface Calendar {
  /** `days` contains every run that started before this and is within the limit. */
  settledUpToMs: number
  /** Keyed by the instant at which the day begins, the oldest first. A finished day is kept as it is shown. */
  days: Map<number, Tally | (Day & { runs: number })>
  /** The hours of the days that are settled. */
  hours: Map<number, Hour>
}

/**
 * A job's calendar. It reads an hour until the hour is over and all its runs have ended; then nothing of it changes, and it
 * keeps what the hour adds to its day. So a request costs as much after a year of runs as after an hour.
 */
export function createJobDays(reader: Reader, maxRuns = MAX_RUNS): JobDays {
  const calendars = new Map<string, Calendar>()

  return readDays

  async function readDays(name: string, now: Date): ReturnType<JobDays> {
    const nowMs = now.getTime()
    const earliestMs = nowMs - DAYS * DAY_MS
    const known = calendars.get(name)
    const fromMs = known && known.settledUpToMs <= nowMs ? known.settledUpToMs : earliestMs
    const from = new Date(Math.max(fromMs, earliestMs))
    const [hours, oldest] = await Promise.all([
      tallyDurationsByHour(reader, { name, from, maxRuns }),
      findOldestStart(reader, name),
    ])
    // Other requests may have settled more meanwhile, or begun anew.
    let calendar = calendars.get(name)
    const isAll = hours.reduce((sum, { runs }) => sum + runs, 0) < maxRuns
    if (!isAll || !calendar || calendar.settledUpToMs > nowMs || fromMs === earliestMs) {
      calendar = { settledUpToMs: fromMs, days: new Map(), hours: new Map() }
      calendars.set(name, calendar)
    }
    if (calendar.settledUpToMs < fromMs) return await readDays(name, now)
    forget(calendar, Math.max(earliestMs, oldest === null ? Infinity : Date.parse(oldest)))
    const open = settle(calendar, hours, nowMs)
    forgetSurplus(calendar, maxRuns)
    const days = presentDays(calendar, open)
    const youngMs = startOfDay(nowMs) - (YOUNG_DAYS - 1) * DAY_MS
    for (const hourMs of calendar.hours.keys()) if (hourMs < youngMs) calendar.hours.delete(hourMs)
    const isYoung = days[0] !== undefined && Date.parse(days[0].date) >= youngMs
    return { days, hours: isYoung ? presentHours(calendar, open) : [] }
  }
}

/** Adds hours of which nothing changes any more to their days. Returns the others. */
function settle(
  calendar: Calendar,
  hours: readonly HourOfDurations[],
  nowMs: number,
): HourOfDurations[] {
  const open: HourOfDurations[] = []
  for (const row of hours) {
    const hourMs = Date.parse(row.hour)
    if (hourMs + HOUR_MS <= calendar.settledUpToMs) continue
    const isSettled = row.running === 0 && hourMs + HOUR_MS + SETTLE_MS <= nowMs
    if (!isSettled || open.length > 0) {
      open.push(row)
      continue
    }
    const dayMs = startOfDay(hourMs)
    const day = calendar.days.get(dayMs) ?? emptyTally()
    // A day is closed only once all of its hours are settled.
    if ('durations' in day) calendar.days.set(dayMs, add(day, row))
    calendar.hours.set(hourMs, summariseHour(row))
    calendar.settledUpToMs = hourMs + HOUR_MS
  }
  // Hours without runs have no row, and are settled here.
  const over = Math.floor((nowMs - SETTLE_MS) / HOUR_MS) * HOUR_MS
  const firstOpen = open[0] ? Date.parse(open[0].hour) : Infinity
  calendar.settledUpToMs = Math.max(calendar.settledUpToMs, Math.min(over, firstOpen))
  for (const [dayMs, day] of calendar.days) {
    if ('durations' in day && dayMs + DAY_MS <= calendar.settledUpToMs) {
      calendar.days.set(dayMs, { ...summarise(dayMs, day), runs: day.runs })
    }
  }
  return open
}

/** Forgets what is older than the last 365 days, or than the oldest run that is still kept. */
function forget({ days, hours }: Calendar, beforeMs: number): void {
  for (const dayMs of days.keys()) if (dayMs + DAY_MS <= beforeMs) days.delete(dayMs)
  for (const hourMs of hours.keys()) if (hourMs + HOUR_MS <= beforeMs) hours.delete(hourMs)
}

/** Forgets the oldest days, when the later ones have enough runs without them. */
function forgetSurplus({ days, hours }: Calendar, maxRuns: number): void {
  let runs = 0
  for (const day of days.values()) runs += day.runs
  for (const [dayMs, day] of days) {
    runs -= day.runs
    if (runs < maxRuns) return
    days.delete(dayMs)
    for (const hourMs of hours.keys()) if (startOfDay(hourMs) === dayMs) hours.delete(hourMs)
  }
}

function presentHours({ hours }: Calendar, open: readonly HourOfDurations[]): Hour[] {
  return [...hours.values(), ...open.map(summariseHour)]
}

function presentDays({ days }: Calendar, open: readonly HourOfDurations[]): Day[] {
  const openDays = Map.groupBy(open, ({ hour }) => startOfDay(Date.parse(hour)))
  return [...new Set([...days.keys(), ...openDays.keys()])].map((dayMs) => {
    const kept = days.get(dayMs) ?? emptyTally()
    if (!('durations' in kept)) {
      const { runs: _, ...day } = kept
      return day
    }
    const tally = { ...kept, durations: new Map(kept.durations) }
    return summarise(dayMs, (openDays.get(dayMs) ?? []).reduce(add, tally))
  })
}

function emptyTally(): Tally {
  return { runs: 0, success: 0, failed: 0, stopped: 0, durations: new Map() }
}

/** Adds to `tally` itself. */
function add(tally: Tally, row: HourOfDurations): Tally {
  tally.runs += row.runs
  tally.success += row.success
  tally.failed += row.failed
  tally.stopped += row.stopped
  for (const [text, count] of Object.entries(row.durations ?? {})) {
    const ms = Number(text)
    tally.durations.set(ms, (tally.durations.get(ms) ?? 0) + count)
  }
  return tally
}

function summarise(dayMs: number, tally: Tally): Day {
  return { date: new Date(dayMs).toISOString().slice(0, 10), ...outcomesOf(tally) }
}

function summariseHour(row: HourOfDurations): Hour {
  return { from: new Date(row.hour).toISOString(), ...outcomesOf(add(emptyTally(), row)) }
}

function outcomesOf({ success, failed, stopped, durations }: Tally) {
  const sorted = [...durations].toSorted(([one], [other]) => one - other)
  const [p50Ms, p95Ms] = [percentile(sorted, 0.5), percentile(sorted, 0.95)]
  return { success, failed, stopped, p50Ms, p95Ms }
}

/** Like PostgreSQL's percentile_cont: between two durations, in proportion. */
function percentile(sorted: readonly [ms: number, count: number][], share: number): number | null {
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return null
  const rank = share * (total - 1)
  const low = valueAt(sorted, Math.floor(rank))
  return low + (valueAt(sorted, Math.ceil(rank)) - low) * (rank - Math.floor(rank))
}

function valueAt(sorted: readonly [ms: number, count: number][], index: number): number {
  let seen = 0
  for (const [ms, count] of sorted) {
    seen += count
    if (index < seen) return ms
  }
  return 0
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS
}
