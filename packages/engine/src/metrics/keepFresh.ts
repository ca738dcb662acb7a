import { setTimeout as delay } from 'node:timers/promises'
import { checkTimerMs, checkWaitMs, optional } from '../job/argument.ts'

export interface KeepFreshOptions<Value> {
  read: () => Promise<Value>
  /** How old a kept answer may be. It reads no more often, however often somebody asks. */
  maxAgeMs: number
  /** How long a caller waits for an answer. */
  timeoutMs: number
  /** Called when a read failed, or was not done in time. */
  onFailure: () => void
}

/** How the two numbers are checked that somebody may set. */
export const FRESHNESS = { maxAgeMs: optional(checkWaitMs), timeoutMs: optional(checkTimerMs) }

/**
 * Bounds what scrapes ask of the database: one read at a time, whose answer is kept for `maxAgeMs`. It returns null while
 * there is no fresh answer: an older one says nothing about now.
 */
export function keepFresh<Value>(options: KeepFreshOptions<Value>): () => Promise<Value | null> {
  const { read, maxAgeMs, timeoutMs, onFailure } = options
  let latest: { at: number; value: Value } | undefined
  let reading: Promise<void> | undefined
  const isFresh = () => latest !== undefined && performance.now() - latest.at <= maxAgeMs

  async function refresh(): Promise<void> {
    try {
      const value = await read()
      latest = { at: performance.now(), value }
    } catch {
      onFailure()
    } finally {
      reading = undefined
    }
  }

  return async () => {
    if (!isFresh()) {
      reading ??= refresh()
      const waiting = new AbortController()
      const late = delay(timeoutMs, true, { signal: waiting.signal }).catch(() => false)
      if ((await Promise.race([reading, late])) === true) onFailure()
      waiting.abort()
    }
    return latest !== undefined && isFresh() ? latest.value : null
  }
}
