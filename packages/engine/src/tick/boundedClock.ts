/** JSON, PostgreSQL and its driver agree on all instants between these two. */
const EARLIEST_MS = 0
const LATEST_MS = Date.UTC(9999, 0, 1)

/**
 * Wraps the worker's or the system's clock, so that every instant can be stored. If the clock throws or returns an invalid
 * date, the system's time is used: an ended run needs an end.
 */
export function boundedClock(now?: () => Date): () => Date {
  if (now === undefined) return () => new Date()
  return () => new Date(Math.min(Math.max(read(now) ?? Date.now(), EARLIEST_MS), LATEST_MS))
}

function read(now: () => Date): number | null {
  try {
    const instantMs = Number(now())
    return Number.isNaN(instantMs) ? null : instantMs
  } catch {
    return null
  }
}
