import { settlesWithin } from '../database/settlesWithin.ts'

/** A run's progress as JobRun stores it. */
export interface Progress {
  done: number
  total: number | null
}

const INTERVAL_MS = 1_000
/** How long the run's end waits for the last report to be stored. */
const MAX_STOP_MS = 2_000

/**
 * Stores the newest of many reports, at most one a second. It drops a report that fails to store: progress is for people,
 * and the next report has newer numbers.
 */
export function createProgress(keep: (progress: Progress) => Promise<void>) {
  let latest: Progress | null = null
  let timer: NodeJS.Timeout | null = null
  let keeping: Promise<void> = Promise.resolve()
  let isStopped = false

  function flush(): void {
    timer = null
    if (latest === null) return
    const progress = latest
    latest = null
    keeping = keep(progress).catch(() => undefined)
    if (!isStopped) timer = setTimeout(flush, INTERVAL_MS)
  }

  async function keepLast(): Promise<void> {
    await keeping
    flush()
    await keeping
  }

  return {
    report(progress: Progress): void {
      if (isStopped) return
      latest = progress
      if (timer === null) flush()
    },
    /**
     * Stores the last report, within MAX_STOP_MS. Call it before the run is settled: an ended run takes no progress.
     */
    async stop(): Promise<void> {
      isStopped = true
      if (timer) clearTimeout(timer)
      await settlesWithin(keepLast(), MAX_STOP_MS)
    },
  }
}
