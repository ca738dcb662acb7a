import type { ConsoleJobDetail } from '@roundsman/admin/contract'
import { formatShort, nameDate } from '../time/formatExact.ts'

import type { Bar, BarKind } from './BarChart.tsx'
import { timeScale } from './scales.ts'

export const ENDED_KINDS = [
  { kind: 'success', label: 'Success' },
  { kind: 'failed', label: 'Failed' },
  { kind: 'stopped', label: 'Cancelled, blocked, expired or given back' },
] as const satisfies { kind: BarKind; label: string }[]

export type EndedCounts = Record<(typeof ENDED_KINDS)[number]['kind'], number>

const NONE_ENDED: EndedCounts = { success: 0, failed: 0, stopped: 0 }

/** The kinds that occur: a legend names no others. */
export function seenKinds(rows: readonly EndedCounts[]): (typeof ENDED_KINDS)[number][] {
  return ENDED_KINDS.filter(({ kind }) => rows.some((row) => row[kind] > 0))
}

const count = (value: number) => value.toLocaleString('en')

/** Says it in words: `854 ended, 327 failed (38 %)`, or of the latest alone `over 50,000 ended; of these 327 failed (1 %)`. */
export function describeEnded({ success, failed, stopped }: EndedCounts, isCut = false): string {
  const ended = success + failed + stopped
  const share = ended === 0 ? 0 : (failed / ended) * 100
  const percent = share > 0 && share < 1 ? '< 1' : Math.round(share)
  const rest = stopped === 0 ? '' : `, ${count(stopped)} cancelled, blocked, expired or given back`
  const all = isCut ? `over ${count(ended)} ended; of these` : `${count(ended)} ended,`
  // What expired was not done either.
  if (failed === 0 && stopped > 0) return `${all}${rest.slice(1)}`
  return `${all} ${failed === 0 ? 'none failed' : `${count(failed)} failed (${percent} %)`}${rest}`
}

export function sumEnded(rows: readonly EndedCounts[]): EndedCounts {
  return rows.reduce<EndedCounts>(
    (sum, row) => ({
      success: sum.success + row.success,
      failed: sum.failed + row.failed,
      stopped: sum.stopped + row.stopped,
    }),
    NONE_ENDED,
  )
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MAX_DAYS = 60
const LABELS = 6
/** The fewest bars: a few would be as wide as the screen. */
const MIN_HOURS = 12
const MIN_DAYS = 7

export interface RunBars {
  unit: 'hour' | 'day'
  bars: Bar[]
  counts: EndedCounts
  /** Which share of the width is before an instant. */
  placeOf: (instant: string) => number
  /** How many of the bars show anything. */
  filled: number
  /** Whether runs of this time are left out. */
  isCut: boolean
}

/**
 * Counts a job's runs for bars, empty ones included: by hour if the server tells hours, as of young runs, else by day
 * in UTC.
 */
export function runBars(
  { hours, days, cutBefore }: Pick<ConsoleJobDetail, 'hours' | 'days' | 'cutBefore'>,
  now: number,
  timeZone?: string,
): RunBars {
  const isYoung = hours.length > 0
  const lengthMs = isYoung ? HOUR_MS : DAY_MS
  const rows = new Map<number, EndedCounts>(
    isYoung
      ? hours.map((hour) => [Date.parse(hour.from), hour])
      : days.map((day) => [Date.parse(day.date), day]),
  )
  const last = Math.max(Math.floor(now / lengthMs) * lengthMs, ...rows.keys())
  const earliest = last - (MAX_DAYS - 1) * DAY_MS
  const first = Math.max(
    Math.min(last - ((isYoung ? MIN_HOURS : MIN_DAYS) - 1) * lengthMs, ...rows.keys()),
    earliest,
  )
  const starts = Array.from(
    { length: Math.round((last - first) / lengthMs) + 1 },
    (_, index) => first + index * lengthMs,
  )
  const shown = starts.map((start) => rows.get(start) ?? NONE_ENDED)
  const { place, ticks } = timeScale(first, last + lengthMs - 1, LABELS, isYoung ? timeZone : 'UTC')
  return {
    unit: isYoung ? 'hour' : 'day',
    isCut: cutBefore !== null && Date.parse(cutBefore) > first,
    counts: sumEnded(shown),
    placeOf: (instant) => (Date.parse(instant) - first) / (last + lengthMs - first),
    filled: shown.filter(({ success, failed, stopped }) => success + failed + stopped > 0).length,
    bars: starts.map((start, index): Bar => {
      const row = shown[index] ?? NONE_ENDED
      const at = new Date(start).toISOString()
      const name = isYoung ? formatShort(at, timeZone) : nameDate(at.slice(0, 10))
      const [from, to] = [place(start), place(start + lengthMs)]
      return {
        key: at,
        label: ticks.find((tick) => tick.at >= from && tick.at < to)?.label ?? null,
        name,
        tip: `${name}\n${describeEnded(row)}`,
        parts: ENDED_KINDS.map(({ kind }) => ({ kind, value: row[kind] })),
      }
    }),
  }
}
