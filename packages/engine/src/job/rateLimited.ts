import { types } from 'node:util'
import { checkRateLimited } from '../arguments/errors.ts'
import { JobError } from './jobError.ts'
import type { SharedLimit } from './limits.ts'
import { readPart } from '../values/readPart.ts'
import { storableText } from '../values/storableText.ts'

export interface RateLimitedOptions {
  /**
   * When the service accepts calls again: milliseconds from now, an instant, or the text of its `Retry-After` header. At least
   * a second, at most 24 hours. Default, also for a text that is neither seconds nor a date: a minute.
   */
  retryAfter?: number | Date | string | null | undefined
  /**
   * The work that waits until then: that of the same key (`key`), of the job (default, also if it has no keys or is not under
   * that limit), or of all jobs under a shared limit.
   */
  scope?: 'key' | 'job' | Pick<SharedLimit, 'name'>
  /** The message that people read. Default: `A service has refused more`. */
  message?: string
  cause?: unknown
}

const DEFAULT_MS = 60_000
/** Some services answer `Retry-After: 0` and refuse the next call too. */
const MIN_MS = 1_000
const MAX_MS = 24 * 3_600_000

/**
 * Throw it if a service refuses calls for now, for example with 429. The run ends as failed with code `rate_limited`. The first
 * 20 in a row cost no attempt. Each further one costs an attempt, and its work waits at least the job's back-off. No work of
 * the scope starts before `retryAfter`. Then work starts again. If the service refuses it, it waits again.
 */
export class RateLimited extends JobError {
  readonly retryAfterMs: number
  readonly scope: 'key' | 'job' | { readonly name: string }

  constructor(options: RateLimitedOptions = {}) {
    const { retryAfter, scope = 'job', message, cause } = checkRateLimited(options)
    super('rate_limited', message ?? 'A service has refused more', { cause })
    this.retryAfterMs = toMs(retryAfter)
    this.scope = scope
  }
}

function toMs(retryAfter: RateLimitedOptions['retryAfter']): number {
  const ms =
    typeof retryAfter === 'number'
      ? retryAfter
      : types.isDate(retryAfter)
        ? retryAfter.getTime() - Date.now()
        : typeof retryAfter === 'string'
          ? ofHeader(retryAfter)
          : Number.NaN
  return Number.isNaN(ms) ? DEFAULT_MS : Math.min(Math.max(0, ms), MAX_MS)
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function ofHeader(text: string): number {
  const given = text.trim()
  if (/^\d{1,15}$/.test(given)) return Number(given) * 1_000
  return /^[A-Z][a-z]{2,8},/.test(given) ? Date.parse(given) - Date.now() : Number.NaN
}

/** The refused scope and its wait, as a run's result passes them to the worker. */
export interface Refusal {
  /** In milliseconds. */
  retryAfterMs: number
  /** The name of a shared limit. Null for the job's own limit. */
  limit: string | null
  isOfKey: boolean
}

/** Reads a refusal from any thrown value. Null if it is none. Never throws. */
export function readRefusal(error: unknown): Refusal | null {
  if (typeof error !== 'object' || error === null) return null
  const [code, ms, scope] = ['code', 'retryAfterMs', 'scope'].map((part) => readPart(error, part))
  if (code !== 'rate_limited' || typeof ms !== 'number' || !(ms >= 0)) return null
  const name = typeof scope === 'object' && scope !== null ? readPart(scope, 'name') : null
  const limit = typeof name === 'string' ? storableText(name, 100) : null
  return { retryAfterMs: Math.min(Math.max(MIN_MS, ms), MAX_MS), limit, isOfKey: scope === 'key' }
}
