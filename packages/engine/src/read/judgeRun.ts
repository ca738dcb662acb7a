import type { Job } from '../job/defineJob.ts'
import { GRACE_MS } from './listSchedules.ts'

/** A run is slow when it takes longer than nearly all before it by this factor, and at least SLOW_MIN_MS. */
export const SLOW_FACTOR = 2
const SLOW_MIN_MS = 60_000

/**
 * After how long a run overruns. Its worker aborts it at the time-out, so a run that goes on beyond that and the grace has a
 * worker that cannot: stopped, blocked, or dead with nobody to notice.
 */
export function overrunLimitMs({ timeoutMs }: Pick<Job, 'timeoutMs'>): number {
  return timeoutMs + GRACE_MS
}

/**
 * After how long a run counts as slow, though it may still end well: half of its time-out, or unusually long for its job.
 * `usualMs` is what nearly all earlier runs took, or null.
 */
export function slowLimitMs({ timeoutMs }: Pick<Job, 'timeoutMs'>, usualMs: number | null): number {
  const unusualMs = usualMs === null ? Infinity : Math.max(SLOW_MIN_MS, usualMs * SLOW_FACTOR)
  return Math.min(timeoutMs / 2, unusualMs)
}
