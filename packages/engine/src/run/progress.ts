/** What is kept of a run's progress. */
export interface Progress {
  done: number
  total: number | null
}

const INTERVAL_MS = 1_000
/** The run's end does not wait longer for what is only for people. */
const MAX_STOP_MS = 2_000

/**
 * Keeps the newest of many reports, at most one a second. A report that can't be kept is dropped: progress
 * is for people, and the next one says more.
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
     * Keeps what was reported last, if that can be done soon: once the run has ended, nothing can be kept any more,
     * and nothing is.
     */
    async stop(): Promise<void> {
      isStopped = true
      if (timer) clearTimeout(timer)
      let limit: NodeJS.Timeout | undefined
      const isOver = new Promise((resolve) => (limit = setTimeout(resolve, MAX_STOP_MS)))
      await Promise.race([keepLast(), isOver])
      clearTimeout(limit)
    },
  }
}
