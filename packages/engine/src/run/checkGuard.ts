import { JobError, type Details, type Guard, type GuardCount } from '../index.ts'

/** Counting on has no use where it is more than allowed: nobody approves what is not known to the row. */
const COUNT_LIMIT = 10_000_000

/**
 * Counts what is due and says so, or refuses it. What is too little for the guard to mind is neither counted
 * to its end nor mentioned. What somebody approved is allowed up to the number that was counted then. An estimate of the
 * whole lets pass what is at most half of what it allows; anything else is decided by counting.
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
  const shareOf = (total: number | null) =>
    total === null || maxShare === undefined
      ? Infinity
      : Math.max(minRows, Math.floor(total * maxShare))
  const allow = () => Math.max(Math.min(maxRows, shareOf(total)), approvedRows ?? 0)
  let total = maxShare === undefined ? null : await count.total(tx)
  let limit = Math.max(COUNT_LIMIT, allow() + 1)
  let due = await count.due(tx, limit)

  const dependsOnShare = () =>
    due <= maxRows && due > Math.max(minRows, approvedRows ?? 0) && 2 * due > shareOf(total)
  while (total !== null && maxShare !== undefined && dependsOnShare()) {
    const upTo = Math.max(COUNT_LIMIT, Math.ceil(due / maxShare) + 1)
    const counted = await count.total(tx, upTo)
    total = counted
    if (counted < upTo || due < limit) break
    // There is room for more than was counted of what is due.
    limit = Number.MAX_SAFE_INTEGER
    due = await count.due(tx, limit)
  }
  // A whole is never smaller than its part.
  if (total !== null) total = Math.max(total, due)
  const allowed = allow()
  const details = { guard: { due, allowed, ...(total !== null && { total }) } }
  if (due <= allowed) return details
  throw new JobError('guard_blocked', `${due} rows are due and at most ${allowed} may be changed`, {
    retryable: false,
    details,
  })
}
