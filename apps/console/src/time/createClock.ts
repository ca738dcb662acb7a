export interface Clock {
  /** In epoch milliseconds, as the server would say it. */
  now(): number
  /** Tells how late the server says it is, with what the answer took to come. */
  adjust(serverNow: number): void
  /** Calls back about once a second while somebody looks. Returns how to stop. */
  subscribe(listener: () => void): () => void
}

/** Below this, the second that the date header is cut to and the way of the answer explain the difference. */
const TOLERANCE_MS = 3_000
const TICK_MS = 1_000

/**
 * The time that relative times are reckoned from. A viewer's clock may be minutes off, and every "3 min ago"
 * with it; the server's is the one that the instants come from.
 */
export function createClock(view: Document): Clock {
  let offsetMs = 0
  let timer: ReturnType<typeof setInterval> | null = null
  const listeners = new Set<() => void>()

  function tick(): void {
    if (view.hidden) return
    for (const listener of listeners) listener()
  }

  return {
    now: () => Date.now() + offsetMs,
    adjust(serverNow) {
      const difference = serverNow - Date.now()
      offsetMs = Math.abs(difference) > TOLERANCE_MS ? difference : 0
    },
    subscribe(listener) {
      listeners.add(listener)
      if (timer === null) {
        timer = setInterval(tick, TICK_MS)
        view.addEventListener('visibilitychange', tick)
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
        view.removeEventListener('visibilitychange', tick)
      }
    },
  }
}
