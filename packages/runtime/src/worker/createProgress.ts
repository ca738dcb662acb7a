/** What is kept of a run's progress. */
export interface Progress {
  done: number
  total: number | null
}

const INTERVAL_MS = 1_000

/**
 * Keeps the newest of many reports, at most one a second. A report that can't be kept is dropped: progress
 * is for people, and the next one says more.
 */
export function createProgress(keep: (progress: Progress) => Promise<void>) {
  let latest: Progress | null = null
  let timer: NodeJS.Timeout | null = null
  let keeping: Promise<void> = Promise.resolve()

  function flush(): void {
    timer = null
    if (latest === null) return
    const progress = latest
    latest = null
    keeping = keep(progress).catch(() => undefined)
    timer = setTimeout(flush, INTERVAL_MS)
  }

  return {
    report(progress: Progress): void {
      latest = progress
      if (timer === null) flush()
    },
    /** Keeps what was reported last: once the run has ended, nothing can be kept any more. */
    async stop(): Promise<void> {
      if (timer) clearTimeout(timer)
      await keeping
      flush()
      await keeping
      if (timer) clearTimeout(timer)
    },
  }
}
