import type { PrismaTransactionLike } from '../store/inTransaction.ts'
import { LOCK_BLOCKED_RUN_SQL } from '../store/queueSql.ts'

export type Approval =
  | { kind: 'taken'; name: string; payload: unknown; rows: number }
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' }

interface BlockedRun {
  name: string
  isBlocked: boolean
  isApproved: boolean
  isTooOld: boolean
  due: number | null
  payload: unknown
}

/** Marks a blocked run as approved, once, and says what its successor may do. */
export async function takeApproval(
  tx: PrismaTransactionLike,
  runId: string,
  actor: string,
): Promise<Approval> {
  const rows = await tx.$queryRawUnsafe<BlockedRun[]>(LOCK_BLOCKED_RUN_SQL, runId)
  const [run] = rows
  if (!run) return { kind: 'notFound' }
  if (!run.isBlocked || run.due === null) return { kind: 'notBlocked' }
  if (run.isApproved) return { kind: 'alreadyApproved' }
  if (run.isTooOld) return { kind: 'tooLate' }
  await tx.$queryRawUnsafe(
    `update "JobRun" set "approvedAt" = now(), "approvedBy" = $2 where "id" = $1::uuid returning "id"::text`,
    runId,
    actor,
  )
  return { kind: 'taken', name: run.name, payload: run.payload ?? {}, rows: run.due }
}
