import type { Job } from '../index.ts'

/** A run is slow when it takes longer than nearly all before it, by this factor, and is no trifle. */
const SLOW_FACTOR = 2
const SLOW_MIN_MS = 60_000

/**
 * How long a run may take. Its worker aborts it at the time-out, so that one which goes on for longer than that
 * and the grace has a worker that can't: stopped, blocked, or dead with nobody to notice.
 */
export function overrunLimitMs({ timeoutMs, graceMs }: Pick<Job, 'timeoutMs' | 'graceMs'>): number {
  return timeoutMs + graceMs
}

/**
 * From when on somebody may want to look at a run, which may end well all the same: it takes longer than
 * half of its time-out, or than its like. `usualMs` is what nearly all of them took, or null.
 */
export function slowLimitMs({ timeoutMs }: Pick<Job, 'timeoutMs'>, usualMs: number | null): number {
  const unusualMs = usualMs === null ? Infinity : Math.max(SLOW_MIN_MS, usualMs * SLOW_FACTOR)
  return Math.min(timeoutMs / 2, unusualMs)
}
