import { setTimeout as delay } from 'node:timers/promises'
import type { MetricsTarget } from './prometheus.ts'

/** Of what a scrape reads from the database. */
export interface FreshnessOptions extends MetricsTarget {
  /** However often the metrics are scraped, the database is asked no more often than this. Default 5,000 ms. */
  maxAgeMs?: number
  /** How long a scrape waits for the database. Default 2,000 ms. */
  timeoutMs?: number
}

/**
 * Bounds what scrapes ask of the database: one read at a time, whose answer is kept for `maxAgeMs`. It returns null while
 * there is no fresh answer: an older one may be wrong by now. `onFailure`: a read failed, or was not done in time.
 */
export function keepFresh<Value>(
  {
    maxAgeMs = 5_000,
    timeoutMs = 2_000,
  }: { maxAgeMs?: number | undefined; timeoutMs?: number | undefined },
  read: () => Promise<Value>,
  onFailure: () => void,
): () => Promise<Value | null> {
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
