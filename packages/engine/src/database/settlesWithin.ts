import { MAX_TIMER_MS } from '../values/argument.ts'

/**
 * Whether the work settles in time (which may be Infinity), and before the signal aborts. It ignores an error of the work,
 * which the caller has to report.
 */
export async function settlesWithin(
  work: Promise<unknown>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<false>()
  const giveUp = () => resolve(false)
  const timer = setTimeout(giveUp, Math.min(timeoutMs, MAX_TIMER_MS))
  signal?.addEventListener('abort', giveUp)
  const settled = work.then(
    () => true,
    () => true,
  )
  const result = await Promise.race([settled, over])
  clearTimeout(timer)
  signal?.removeEventListener('abort', giveUp)
  return result
}
