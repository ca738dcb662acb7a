import type { WorkerReport } from './startWorker.ts'

const LOOK_EVERY_MS = 20
/** Shorter pauses happen in any busy process. */
const SHORTEST_MS = 50
const BEAT_EVERY_MS = 250
const MEASURE_EVERY_MS = 2_000

/**
 * Reports when the event loop stood still, how much of that a drawn outcome blocked it, and what the process holds. Returns
 * the function in which such an outcome has to block.
 */
export function watchEventLoop(
  report: (message: WorkerReport) => void,
): <Result>(work: () => Result) => Result {
  let lookedAt = Date.now()
  let blockedMs = 0
  setInterval(() => {
    const at = Date.now()
    const lagMs = at - lookedAt - LOOK_EVERY_MS
    if (lagMs >= SHORTEST_MS) {
      report({ lag: { from: lookedAt, to: at, beyondMs: Math.max(0, lagMs - blockedMs) } })
    }
    lookedAt = at
    blockedMs = 0
  }, LOOK_EVERY_MS)
  setInterval(() => report({ beatAt: Date.now() }), BEAT_EVERY_MS)
  setInterval(measure, MEASURE_EVERY_MS)

  function measure(): void {
    const startedAt = Date.now()
    // Available with --expose-gc. Its own time counts as blocked.
    globalThis.gc?.()
    blockedMs += Date.now() - startedAt
    const { heapUsed, external } = process.memoryUsage()
    const listeners = process
      .eventNames()
      .reduce((sum, name) => sum + process.listenerCount(name), 0)
    const resources = process.getActiveResourcesInfo().length
    report({ held: { bytes: heapUsed + external, listeners, resources } })
  }

  return (work) => {
    const startedAt = Date.now()
    try {
      return work()
    } finally {
      blockedMs += Date.now() - startedAt
    }
  }
}
