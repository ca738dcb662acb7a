import { MAX_TIMER_MS } from '../job/argument.ts'

/** Whether the work settles in time, for which Infinity will do. It ignores an error of the work: somebody else has to report that. */
export async function settlesWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timedOut = new Promise<false>(
    (resolve) => (timer = setTimeout(() => resolve(false), Math.min(timeoutMs, MAX_TIMER_MS))),
  )
  const settled = work.then(
    () => true,
    () => true,
  )
  const result = await Promise.race([settled, timedOut])
  clearTimeout(timer)
  return result
}
