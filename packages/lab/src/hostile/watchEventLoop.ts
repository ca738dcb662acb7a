import { readFileSync } from 'node:fs'

/** When the event loop stood still, and for how long beyond what drawn outcomes blocked and what the machine withheld. */
export interface Lag {
  from: number
  to: number
  beyondMs: number
}

/** What the process holds after a garbage collection. */
export interface Held {
  bytes: number
  listeners: number
  resources: number
}

const LOOK_EVERY_MS = 20
/** Shorter pauses happen in any busy process. */
const SHORTEST_MS = 50
const BEAT_EVERY_MS = 250
const MEASURE_EVERY_MS = 2_000

export interface EventLoopWatch {
  /** Does what a drawn outcome blocks the event loop with. */
  block<Result>(work: () => Result): Result
  stop(): void
}

/**
 * Reports when the event loop stood still, how much of that neither a drawn outcome nor the machine is to blame for, and what
 * the process holds.
 */
export function watchEventLoop(
  report: (message: { lag?: Lag; held?: Held; beatAt?: number }) => void,
  readWithheld: () => number = readWithheldMs,
): EventLoopWatch {
  // Stands still while the machine lets this thread wait for a processor.
  const ownTime = () => performance.now() - readWithheld()
  let lookedAt = Date.now()
  let lookedAtOwn = ownTime()
  let blockedMs = 0
  const timers = [
    setInterval(look, LOOK_EVERY_MS),
    setInterval(() => report({ beatAt: Date.now() }), BEAT_EVERY_MS),
    setInterval(measure, MEASURE_EVERY_MS),
  ]

  function look(): void {
    const at = Date.now()
    const atOwn = ownTime()
    if (at - lookedAt - LOOK_EVERY_MS >= SHORTEST_MS) {
      const ownMs = atOwn - lookedAtOwn - LOOK_EVERY_MS
      report({ lag: { from: lookedAt, to: at, beyondMs: Math.max(0, ownMs - blockedMs) } })
    }
    lookedAt = at
    lookedAtOwn = atOwn
    blockedMs = 0
  }

  function measure(): void {
    // Available with --expose-gc. Its own time counts as blocked.
    block(() => globalThis.gc?.())
    const { heapUsed, external } = process.memoryUsage()
    const listeners = process
      .eventNames()
      .reduce((sum, name) => sum + process.listenerCount(name), 0)
    const resources = process.getActiveResourcesInfo().length
    report({ held: { bytes: heapUsed + external, listeners, resources } })
  }

  function block<Result>(work: () => Result): Result {
    const startedAt = ownTime()
    try {
      return work()
    } finally {
      blockedMs += ownTime() - startedAt
    }
  }

  return {
    block,
    stop() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}

/** How long this thread has waited for a processor since it was started. Linux tells; elsewhere it is 0. */
function readWithheldMs(): number {
  try {
    const [, waitedNs] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')
    return Number(waitedNs) / 1_000_000
  } catch {
    return 0
  }
}
