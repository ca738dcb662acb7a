import type { Job } from '../job/defineJob.ts'

/** No attempt expires sooner: it leaves time for the abort's grace, for settling, and for a short absence of the database. */
const SHORTEST_EXPIRY_S = 120

/**
 * `exclusiveKey` keeps two runs of an exclusive job apart; null for dry runs, which change nothing. After `expireSeconds` a round of
 * any worker takes the attempt for hung. That is the last resort: the worker aborts a run at its time-out, and others notice a
 * lost worker in seconds.
 */
export const claimTerms = ({ name, isExclusive, timeoutMs }: Job, isDryRun: boolean) => ({
  exclusiveKey: isExclusive && !isDryRun ? name : null,
  expireSeconds: Math.ceil(timeoutMs / 1000) + SHORTEST_EXPIRY_S,
})
