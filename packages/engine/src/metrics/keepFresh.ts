import { setTimeout as delay } from 'node:timers/promises'

export interface KeepFreshOptions<Value> {
  read: () => Promise<Value>
  /** However often somebody asks, it is read no more often than this. */
  maxAgeMs: number
  /** How long somebody waits for it. */
  timeoutMs: number
  /** Called when it could not be read, or not in time. */
  onFailure: () => void
}

/**
 * What a scrape may ask of the database: one statement at a time, with its answer kept for a while. Null while there
 * is none that is fresh: what is older says nothing about now.
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
