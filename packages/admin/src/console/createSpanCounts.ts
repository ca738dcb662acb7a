import { countRuns, type SpanOfRuns } from '@roundsman/engine/internal'
import type { JobsReader } from '@roundsman/engine/client'

/** The runs of each job that started in the current span and in those before it. The oldest span comes first. */
export type SpanCounts = (now: Date) => Promise<{ from: Date; jobs: readonly SpanOfRuns[] }[]>

export interface SpanCountsOptions {
  lengthMs: number
  /** The number of spans, including the current one. */
  spans: number
  /** Time after its end in which a span may still change: clocks disagree, and a start is committed a little later. */
  settleMs: number
}

/** Fewer runs are cheap to count again. */
const MANY_RUNS = 500

/**
 * Counts runs by the span in which they started. It caches the counts of a span with many runs once that is over and all have
 * ended: an hour may have millions of runs, and each open page requests them every few seconds.
 */
export function createSpanCounts(reader: JobsReader, options: SpanCountsOptions): SpanCounts {
  const { lengthMs, spans, settleMs } = options
  const settled = new Map<number, readonly SpanOfRuns[]>()

  return async (now) => {
    const current = Math.floor(now.getTime() / lengthMs) * lengthMs
    const starts = Array.from(
      { length: spans },
      (_, index) => current - (spans - 1 - index) * lengthMs,
    )
    for (const start of settled.keys()) if (!starts.includes(start)) settled.delete(start)
    const open = starts.filter((start) => !settled.has(start)).map((start) => new Date(start))
    const counted = Map.groupBy(await countRuns(reader, open, lengthMs), ({ from }) =>
      Date.parse(from),
    )
    return starts.map((start) => {
      const jobs = settled.get(start) ?? counted.get(start) ?? []
      const { success, failed, stopped, running } = sumOutcomes(jobs)
      const isOver = start + lengthMs + settleMs <= now.getTime()
      if (isOver && running === 0 && success + failed + stopped >= MANY_RUNS) {
        settled.set(start, jobs)
      }
      return { from: new Date(start), jobs }
    })
  }
}

export function sumOutcomes(rows: readonly SpanOfRuns[]) {
  const sum = (outcome: keyof Omit<SpanOfRuns, 'name' | 'from'>) =>
    rows.reduce((total, row) => total + row[outcome], 0)
  return {
    success: sum('success'),
    failed: sum('failed'),
    stopped: sum('stopped'),
    running: sum('running'),
    expired: sum('expired'),
  }
}
