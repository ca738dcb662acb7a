import { JobError } from '../job/jobError.ts'
import type { Details, GuardCount } from '../job/handler.ts'
import type { Guard } from '../job/defineJob.ts'

/** Due rows are counted up to here, or to one more than the guard allows. */
const COUNT_LIMIT = 10_000_000

/**
 * Counts the due rows and returns the counts. Throws `guard_blocked` if there are more than the guard allows. If `minRows` allows
 * them, it does not count to the end, and returns no counts.
 * An approval allows the number that was counted when it was given. An estimate of the total decides only when at most half
 * of what it allows is due; otherwise the total is counted.
 * @throws JobError `guard_blocked`, with the numbers in its details
 */
export async function checkGuard<Tx>(
  tx: Tx,
  guard: Guard,
  count: GuardCount<Tx>,
  approvedRows: number | null,
): Promise<{ guard?: Details }> {
  const { minRows = 0, maxShare, maxRows = Infinity } = guard
  if (minRows > 0 && (await count.due(tx, minRows + 1)) <= minRows) return {}
  const approved = approvedRows ?? 0
  // Null: the guard does not ask for it. An estimate, until it is counted below.
  let total = maxShare === undefined ? null : await count.total(tx)
  const allowedByShare = () =>
    total === null || maxShare === undefined
      ? Infinity
      : Math.max(minRows, Math.floor(total * maxShare))
  const allow = () => Math.max(Math.min(maxRows, allowedByShare()), approved)
  let dueLimit = Math.max(COUNT_LIMIT, allow() + 1)
  let due = await count.due(tx, dueLimit)

  /** Whether neither `maxRows` nor `minRows` nor an approval decides, and the estimate is too close to. */
  const needsCountedTotal = () => {
    const isDecidedByRows = due > maxRows || due <= Math.max(minRows, approved)
    return !isDecidedByRows && 2 * due > allowedByShare()
  }
  while (total !== null && maxShare !== undefined && needsCountedTotal()) {
    // This total allows all due rows: a higher count would change nothing.
    const totalLimit = Math.max(COUNT_LIMIT, Math.ceil(due / maxShare) + 1)
    total = await count.total(tx, totalLimit)
    if (total < totalLimit || due < dueLimit) break
    // The total allows more than the counted limit, so count all due rows.
    dueLimit = Number.MAX_SAFE_INTEGER
    due = await count.due(tx, dueLimit)
  }
  // An estimated total may be smaller than the number of due rows.
  if (total !== null) total = Math.max(total, due)
  const allowed = allow()
  const details = { guard: { due, allowed, ...(total !== null && { total }) } }
  if (due <= allowed) return details
  throw new JobError('guard_blocked', `${due} rows are due and at most ${allowed} may be changed`, {
    retryable: false,
    details,
  })
}
