import type { Job } from '../job/defineJob.ts'

/** No attempt expires sooner: it leaves time for the abort's grace, for settling, and for a short absence of the database. */
const SHORTEST_EXPIRY_S = 120

/**
 * After how many seconds a round of any worker takes an attempt for hung. It is the last resort: the worker aborts a run at its
 * time-out, and others notice a lost worker in seconds.
 */
export function expireSeconds({ timeoutMs }: Pick<Job, 'timeoutMs'>): number {
  return Math.ceil(timeoutMs / 1000) + SHORTEST_EXPIRY_S
}
