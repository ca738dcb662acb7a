import timers from 'node:timers/promises'

/** Node's own, also where a test has replaced it. */
const pause = timers.setTimeout
const FIRST_INTERVAL_MS = 20
const GROWTH = 1.1
const LAST_INTERVAL_MS = 80
const MAX_SOURCE = 300

export interface WaitForOptions {
  /** Default 30,000 ms. */
  timeoutMs?: number
  /** Default: 20 ms at first, then longer, up to 80 ms: asking costs more than waiting. */
  intervalMs?: number
  /** What is waited for, for the error's text. Default: the predicate's source. */
  message?: string
  /** Ends the waiting with its reason. */
  signal?: AbortSignal
}

/**
 * Polls until the predicate returns something truthy, and returns that. An error that it throws counts as "not yet"; the
 * last one is the cause of the error when the time is over.
 */
export async function waitFor<Value>(
  predicate: () => Value | Promise<Value>,
  options: WaitForOptions = {},
): Promise<Exclude<Awaited<Value>, false | null | undefined | 0 | '' | void>> {
  const { timeoutMs = 30_000, intervalMs, message = sourceOf(predicate), signal } = options
  const deadline = performance.now() + timeoutMs
  let lastError: unknown
  let pauseMs = intervalMs ?? FIRST_INTERVAL_MS
  do {
    signal?.throwIfAborted()
    try {
      const value = await predicate()
      lastError = undefined
      if (value) return value as never
    } catch (error) {
      lastError = error
    }
    await pause(pauseMs)
    if (intervalMs === undefined) pauseMs = Math.min(LAST_INTERVAL_MS, pauseMs * GROWTH)
  } while (performance.now() < deadline)
  const reason = lastError instanceof Error ? `: ${lastError.message}` : ''
  throw new Error(`${message}: not within ${timeoutMs} ms${reason}`, { cause: lastError })
}

/** On one line, and without what the test runner made of imported names. */
function sourceOf(predicate: () => unknown): string {
  const source = String(predicate)
    .replaceAll(/\(0, ?__vi_import_\d+__\.(\w+)\)|__vi_import_\d+__\./g, '$1')
    .replaceAll(/\s+/g, ' ')
  return source.length > MAX_SOURCE ? `${source.slice(0, MAX_SOURCE)}…` : source
}
