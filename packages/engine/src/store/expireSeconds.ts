import type { Job } from '../index.ts'

/** No attempt expires sooner. For the abort's grace, for settling, and for a database that is away for a moment. */
export const SHORTEST_EXPIRY_S = 120

/**
 * When the queue itself takes an attempt for hung. The last resort: runs are bounded by their own time-out, and lost
 * workers are noticed in seconds.
 */
export function expireSeconds({ timeoutMs }: Pick<Job, 'timeoutMs'>): number {
  return Math.ceil(timeoutMs / 1000) + SHORTEST_EXPIRY_S
}
