import { findOldestStart, tallyRunsByHour, type HourOfRuns } from '@roundsman/engine/internal'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleJobDetail } from '../contract.ts'

type Day = ConsoleJobDetail['days'][number]
type Hour = ConsoleJobDetail['hours'][number]

/*
 * A job's calendar, which is cached between requests so that a request costs as much after two months of runs as after an hour.
 * Hours and days are those of UTC.
 *
 * An hour is
 *   open      Its runs may change: every request reads it again. Ends once the hour has been over for SETTLE_MS, none of its runs is under way, and all earlier hours are settled.
 *   settled   It is cached, and no request reads it again.
 *
 * A day with only settled hours is cached in its final form. Both are dropped if they are older than the shown days or the
 * oldest run, or if MAX_RUNS runs are later.
 */

/**
 * The days of the last 60 with runs of the job and, while none is older than two days, their hours. The oldest come first.
 * `cutBefore`: null unless some runs before this instant are left out.
 */
export type JobDays = (
  name: string,
  now: Date,
) => Promise<Pick<ConsoleJobDetail, 'days' | 'hours' | 'cutBefore'>>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DAYS_SHOWN = 60
/** With this few days, the hours are shown instead. */
const DAYS_SHOWN_BY_HOUR = 3
/** Workers' clocks disagree, and a start is committed a little later. */
const SETTLE_MS = 10 * 60_000
/** Maximum of the latest runs in a calendar, so that a job that runs every second costs no more than others. */
const MAX_RUNS = 50_000

/** Immutable: each of several requests makes the next calendar from the one that it has read. */
interface Calendar {
  /** Every hour before this instant is settled. */
  settledUpToMs: number
  /** The settled hours with runs, the oldest first. */
  hours: readonly KeptHour[]
  /** The days with only settled hours, keyed by the instant at which the day begins. */
  days: ReadonlyMap<number, Day>
  /** Some runs before this instant may be left out, since MAX_RUNS runs are later. */
  cutBeforeMs: number
}

interface KeptHour extends HourOfRuns {
  dayMs: number
  endMs: number
  shown: Hour
}

const NONE: Calendar = {
  settledUpToMs: -Infinity,
  hours: [],
  days: new Map(),
  cutBeforeMs: -Infinity,
}

/** Creates a function that reads the calendars of jobs. */
export function createJobDays(reader: JobsReader, maxRuns = MAX_RUNS): JobDays {
  const calendars = new Map<string, Calendar>()

  return async function readDays(name, now) {
    const nowMs = now.getTime()
    const oldestShownMs = nowMs - DAYS_SHOWN * DAY_MS
    const found = calendars.get(name) ?? NONE
    // A calendar ahead of the clock is useless: the clock was set back.
    const kept = found.settledUpToMs <= nowMs ? found : NONE
    const from = new Date(Math.max(kept.settledUpToMs, oldestShownMs))
    const [rows, oldestRun] = await Promise.all([
      tallyRunsByHour(reader, { name, from, maxRuns }),
      findOldestStart(reader, name),
    ])
    const read = rows.map(toKept)
    const [first] = sumRuns(read) >= maxRuns ? read : []
    const before = first ? { ...NONE, cutBeforeMs: first.endMs } : kept

    const firstOpen = read.find((hour) => hour.running > 0 || hour.endMs + SETTLE_MS > nowMs)
    const overUpToMs = Math.floor((nowMs - SETTLE_MS) / HOUR_MS) * HOUR_MS
    const openFromMs = Math.min(overUpToMs, firstOpen ? firstOpen.endMs - HOUR_MS : Infinity)
    const settledUpToMs = Math.max(before.settledUpToMs, openFromMs)
    const isSettled = (hour: KeptHour) => hour.endMs <= settledUpToMs

    const oldestRunMs = oldestRun === null ? Infinity : Date.parse(oldestRun)
    const oldestMs = Math.max(oldestShownMs, oldestRunMs)
    const known = [...before.hours, ...read].filter(({ dayMs }) => dayMs + DAY_MS > oldestMs)
    const surplusMs = findSurplus(known.filter(isSettled), maxRuns)
    const cutBeforeMs = Math.max(before.cutBeforeMs, surplusMs)
    const hours = known.filter(({ dayMs }) => dayMs >= surplusMs)
    const days = new Map(
      [...Map.groupBy(hours, ({ dayMs }) => dayMs)].map(([dayMs, ofDay]) => [
        dayMs,
        before.days.get(dayMs) ?? presentDay(dayMs, ofDay),
      ]),
    )
    calendars.set(name, {
      settledUpToMs,
      hours: hours.filter(isSettled),
      days: new Map([...days].filter(([dayMs]) => dayMs + DAY_MS <= settledUpToMs)),
      cutBeforeMs,
    })

    const byHourFromMs = startOfDay(nowMs) - (DAYS_SHOWN_BY_HOUR - 1) * DAY_MS
    const isShownByHour = hours.every(({ dayMs }) => dayMs >= byHourFromMs)
    return {
      days: [...days.values()],
      hours: isShownByHour
        ? hours.filter(({ endMs }) => endMs > oldestMs).map(({ shown }) => shown)
        : [],
      cutBefore: cutBeforeMs > oldestMs ? new Date(cutBeforeMs).toISOString() : null,
    }
  }
}

/** The instant before which the days are unnecessary, since enough runs are later; -Infinity if there is none. */
function findSurplus(settled: readonly KeptHour[], maxRuns: number): number {
  let runsLater = sumRuns(settled)
  let beforeMs = -Infinity
  for (const [dayMs, hours] of Map.groupBy(settled, (hour) => hour.dayMs)) {
    runsLater -= sumRuns(hours)
    if (runsLater < maxRuns) break
    beforeMs = dayMs + DAY_MS
  }
  return beforeMs
}

const sumRuns = (hours: readonly HourOfRuns[]) => hours.reduce((sum, { runs }) => sum + runs, 0)

function toKept(hour: HourOfRuns): KeptHour {
  const startMs = Date.parse(hour.hour)
  const shown = { from: new Date(startMs).toISOString(), ...outcomesOf([hour]) }
  return { ...hour, dayMs: startOfDay(startMs), endMs: startMs + HOUR_MS, shown }
}

function presentDay(dayMs: number, hours: readonly HourOfRuns[]): Day {
  return { date: new Date(dayMs).toISOString().slice(0, 10), ...outcomesOf(hours) }
}

function outcomesOf(hours: readonly HourOfRuns[]) {
  const sum = (outcome: 'success' | 'failed' | 'stopped') =>
    hours.reduce((total, hour) => total + hour[outcome], 0)
  return { success: sum('success'), failed: sum('failed'), stopped: sum('stopped') }
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS
}
