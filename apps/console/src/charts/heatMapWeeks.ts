import type { ConsoleJobDetail } from '@roundsman/api/console'

export type HeatMapDay = { date: string; success: number; failed: number; level: 0 | 1 | 2 | 3 | 4 }

const DAY_MS = 86_400_000
const WEEKS = 53

/**
 * The last 53 weeks by UTC date, each from Monday on, the last one up to today. How dark a day is goes by the
 * order of magnitude against the busiest one, for jobs run once a day and once a second alike.
 */
export function heatMapWeeks(days: ConsoleJobDetail['days'], now: number): HeatMapDay[][] {
  const byDate = new Map(days.map((day) => [day.date, day]))
  const most = days.reduce((max, { success, failed }) => Math.max(max, success + failed), 0)
  const today = Math.floor(now / DAY_MS) * DAY_MS
  // The epoch was a Thursday, the third day after Monday.
  const weekday = (Math.floor(today / DAY_MS) + 3) % 7
  const first = today - weekday * DAY_MS - (WEEKS - 1) * 7 * DAY_MS
  return Array.from({ length: WEEKS }, (_, week) =>
    Array.from({ length: week === WEEKS - 1 ? weekday + 1 : 7 }, (_day, index) => {
      const date = new Date(first + (week * 7 + index) * DAY_MS).toISOString().slice(0, 10)
      const { success = 0, failed = 0 } = byDate.get(date) ?? {}
      return { date, success, failed, level: levelOf(success + failed, most) }
    }),
  )
}

function levelOf(runs: number, most: number): HeatMapDay['level'] {
  if (runs === 0) return 0
  const share = runs / most
  if (share > 0.75) return 4
  if (share > 0.5) return 3
  return share > 0.25 ? 2 : 1
}
