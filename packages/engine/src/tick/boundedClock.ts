/** JSON, PostgreSQL and its driver agree on all instants between. */
const EARLIEST_MS = 0
const LATEST_MS = Date.UTC(9999, 0, 1)

/**
 * The clock that a worker was given, or the system's, as instants that can be stored. Where it fails or tells none,
 * the system's time stands in: a run that has ended must not be without its end.
 */
export function boundedClock(now: () => Date = () => new Date()): () => Date {
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
