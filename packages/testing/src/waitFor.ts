import { setTimeout as pause } from 'node:timers/promises'

export interface WaitForOptions {
  /** Default 30,000 ms. */
  timeoutMs?: number
  /** Default 20 ms. */
  intervalMs?: number
  /** What is waited for, for the error. */
  message?: string
}

/**
 * Polls until the predicate returns something truthy, and returns that. An error that it throws
 * counts as "not yet"; the last one is the cause if the time is over.
 */
export async function waitFor<Value>(
  predicate: () => Value | Promise<Value>,
  options: WaitForOptions = {},
): Promise<Exclude<Awaited<Value>, false | null | undefined | 0 | '' | void>> {
  const { timeoutMs = 30_000, intervalMs = 20, message = 'The condition' } = options
  const deadline = performance.now() + timeoutMs
  let lastError: unknown
  do {
    try {
      const value = await predicate()
      lastError = undefined
      if (value) return value as never
    } catch (error) {
      lastError = error
    }
    await pause(intervalMs)
  } while (performance.now() < deadline)
  const reason = lastError instanceof Error ? `: ${lastError.message}` : ''
  throw new Error(`${message}: not within ${timeoutMs} ms${reason}`, { cause: lastError })
}
