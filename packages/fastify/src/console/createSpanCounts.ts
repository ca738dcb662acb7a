import { countRuns, type Reader, type SpanOfRuns } from '@roundsman/engine/client'

/** The runs of each job that started in the span under way and in those before it; the oldest span first. */
export type SpanCounts = (now: Date) => Promise<{ from: Date; jobs: readonly SpanOfRuns[] }[]>

export interface SpanCountsOptions {
  lengthMs: number
  /** How many spans, the one under way included. */
  spans: number
  /** How long after its end a span may change: clocks disagree, and what has begun is committed a little later. */
  settleMs: number
}

/** Fewer than these are counted in no time. */
const MANY_RUNS = 500

/**
 * Counts runs by the span in which they started, and a span with many of them once: when it is over, and all that started
 * in it has ended, nothing of it changes any more. An hour may have millions of runs, and whoever has a page open asks for it
 * every few seconds.
 */
export function createSpanCounts(reader: Reader, options: SpanCountsOptions): SpanCounts {
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
  const sum = (outcome: 'success' | 'failed' | 'stopped' | 'running') =>
    rows.reduce((total, row) => total + row[outcome], 0)
  return {
    success: sum('success'),
    failed: sum('failed'),
    stopped: sum('stopped'),
    running: sum('running'),
  }
}
