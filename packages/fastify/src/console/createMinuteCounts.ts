import { countRunsByMinute, type MinuteOfRuns, type Reader } from '@roundsman/engine/client'

/** The runs of each job that started in the minute under way and the 59 before it; the oldest first. */
export type MinuteCounts = (now: Date) => Promise<{ from: Date; jobs: readonly MinuteOfRuns[] }[]>

const MINUTE_MS = 60_000
const MINUTES = 60
/** The clocks of workers disagree, and what they have begun is committed a little later. */
const SETTLE_MS = 2 * MINUTE_MS
/** Fewer than these are counted in no time. */
const MANY_RUNS = 200

/**
 * Counts runs by the minute in which they started, and a minute with many of them once: when it is over, and all that
 * started in it has ended. An hour may have millions of runs, and whoever has the queue open asks for it every few seconds.
 */
export function createMinuteCounts(reader: Reader): MinuteCounts {
  const settled = new Map<number, readonly MinuteOfRuns[]>()

  return async (now) => {
    const current = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS
    const minutes = Array.from(
      { length: MINUTES },
      (_, index) => current - (MINUTES - 1 - index) * MINUTE_MS,
    )
    for (const minute of settled.keys()) if (!minutes.includes(minute)) settled.delete(minute)
    const open = minutes.filter((minute) => !settled.has(minute))
    const rows = await countRunsByMinute(
      reader,
      open.map((minute) => new Date(minute)),
    )
    const counted = Map.groupBy(rows, ({ minute }) => Date.parse(minute))
    return minutes.map((minute) => {
      const jobs = settled.get(minute) ?? counted.get(minute) ?? []
      const isOver = minute + MINUTE_MS + SETTLE_MS <= now.getTime()
      const ended = jobs.reduce((sum, row) => sum + row.success + row.failed + row.stopped, 0)
      if (isOver && ended >= MANY_RUNS && jobs.every(({ running }) => running === 0)) {
        settled.set(minute, jobs)
      }
      return { from: new Date(minute), jobs }
    })
  }
}
