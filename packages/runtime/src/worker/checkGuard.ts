import { JobError, type Details, type Guard, type GuardCount } from '../contract/index.ts'

/** Counting on has no use where it is more than allowed: nobody approves what is not known to the row. */
const COUNT_LIMIT = 10_000_000

/**
 * Counts what is due and says so, or refuses it. What is too little for the guard to mind is neither counted
 * to its end nor mentioned. What somebody approved is allowed up to the number that was counted then.
 * @throws JobError `guard_blocked`, with the numbers in its details
 */
export async function checkGuard<Tx>(
  tx: Tx,
  guard: Guard,
  count: GuardCount<Tx>,
  approvedRows: number | null,
): Promise<{ guard?: Details }> {
  const { minRows = 0 } = guard
  if (minRows > 0 && (await count.due(tx, minRows + 1)) <= minRows) return {}
  const total = guard.maxShare === undefined ? null : await count.total(tx)
  const limits = [
    guard.maxRows ?? Infinity,
    total === null || guard.maxShare === undefined
      ? Infinity
      : Math.max(minRows, Math.floor(total * guard.maxShare)),
  ]
  const allowed = Math.max(Math.min(...limits), approvedRows ?? 0)
  const due = await count.due(tx, Math.max(COUNT_LIMIT, allowed + 1))
  const details = { guard: { due, allowed, ...(total !== null && { total }) } }
  if (due <= allowed) return details
  throw new JobError('guard_blocked', `${due} rows are due and at most ${allowed} may be changed`, {
    retryable: false,
    details,
  })
}
