import type { Progress } from './createProgress.ts'

/** Null when it does not say how far the run is: a report like that is dropped. */
export function storableProgress(done: unknown, total: unknown): Progress | null {
  const known = toAmount(done)
  return known === null ? null : { done: known, total: toAmount(total) }
}

function toAmount(foreign: unknown): number | null {
  const amount = typeof foreign === 'bigint' ? Number(foreign) : foreign
  if (typeof amount !== 'number' || Number.isNaN(amount) || amount === Infinity) return null
  return Math.min(Math.max(amount, 0), Number.MAX_SAFE_INTEGER)
}
