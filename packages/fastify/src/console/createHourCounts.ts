import { countRunsByHour, type Reader } from '@roundsman/engine/client'
import type { ConsoleOverview } from '../contract.ts'

type HourCount = ConsoleOverview['hours'][number]

/** The hour that is under way and the 24 before it, the oldest first. */
export type HourCounts = (now: Date) => Promise<HourCount[]>

const HOUR_MS = 3_600_000
const HOURS = 25
/** The clocks of workers disagree, and what they have begun is committed a little later. */
const SETTLE_MS = 10 * 60_000
/** Fewer than these are counted in no time. */
const MANY_RUNS = 500

/**
 * Counts runs by the hour in which they started, and an hour with many of them once: when it is over, and all
 * that started in it has ended, nothing of it changes any more. A day may have millions of runs, and whoever
 * has the overview open asks for it every few seconds.
 */
export function createHourCounts(reader: Reader): HourCounts {
  const settled = new Map<number, HourCount>()

  return async (now) => {
    const current = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS
    const hours = Array.from(
      { length: HOURS },
      (_, index) => current - (HOURS - 1 - index) * HOUR_MS,
    )
    for (const hour of settled.keys()) if (!hours.includes(hour)) settled.delete(hour)
    const open = hours.filter((hour) => !settled.has(hour)).map((hour) => new Date(hour))
    const rows = await countRunsByHour(reader, open)
    const counted = new Map(rows.map((row) => [Date.parse(row.hour), row]))
    return hours.map((hour) => {
      const kept = settled.get(hour)
      if (kept) return kept
      const { success = 0, failed = 0, running = 0 } = counted.get(hour) ?? {}
      const count = { from: new Date(hour).toISOString(), success, failed, running }
      const isOver = hour + HOUR_MS + SETTLE_MS <= now.getTime()
      if (isOver && running === 0 && success + failed >= MANY_RUNS) settled.set(hour, count)
      return count
    })
  }
}
