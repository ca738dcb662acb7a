export interface Clock {
  /** Milliseconds since 1970 by the server's clock. */
  now(): number
  /** Takes the server's time from an answer, which took its way to come. */
  adjust(serverNow: number): void
  /** Calls back about once a second while the page is visible. Returns a function that stops it. */
  subscribe(listener: () => void): () => void
}

/** Smaller differences come from the Date header's whole seconds and from the answer's way. */
const TOLERANCE_MS = 3_000
const TICK_MS = 1_000

/**
 * The clock of relative times. The viewer's own may be minutes off, and each "3 min ago" with it; instants come from
 * the server, so its clock counts.
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
