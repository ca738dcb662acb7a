import type { Job } from '../index.ts'
import type { Connection } from '../store/database.ts'
import { checkDate, checkPriority } from '../store/enqueueWork.ts'
import { CANCEL_WORK_SQL, POSTPONE_WORK_SQL, PRIORITISE_WORK_SQL } from '../store/waitingSql.ts'
import type { Request } from './controlJobs.ts'
import { recordActions, storableActor, type JobActionKind } from './recordActions.ts'

/** Which waiting work of a job is meant, retries included: these ids, this label, both, or all of it. */
export type WhichWork = { job: Pick<Job, 'name'> } & (
  | { ids: readonly string[]; label?: string }
  | { ids?: undefined; label: string }
  | { ids?: undefined; label?: undefined; all: true }
)

/** One call changes at most 10,000 pieces, in the order in which workers would take them. */
export interface WorkOutcome {
  done: number
  /**
   * How many pieces match and were left: beyond what one call does, or locked by a claim or another change at that moment.
   * Exact up to 100,000, which also stands for more.
   */
  left: number
}

/** With the transaction that wake-ups have to wait for; null when nothing was changed. */
export type WorkChange = WorkOutcome & { transactionId: string | null }

/** Cancels waiting work: it gets no run, and its unique key is free. */
export async function cancelWork(
  tx: Connection,
  which: WhichWork,
  by: Request,
): Promise<WorkChange> {
  return await change(tx, 'cancelWork', CANCEL_WORK_SQL, which, null, by)
}

/**
 * Postpones work to `startAfter`, except work that is due later already. With an instant in the past it makes delayed work
 * due now. It leaves `expiresAt` as it is.
 */
export async function postponeWork(
  tx: Connection,
  which: WhichWork,
  { startAfter, ...by }: Request & { startAfter: Date },
): Promise<WorkChange> {
  const at = checkDate('startAfter', startAfter)
  const outcome = await change(tx, 'postponeWork', POSTPONE_WORK_SQL, which, at, by)
  return outcome
}

export async function prioritiseWork(
  tx: Connection,
  which: WhichWork,
  { priority, ...by }: Request & { priority: number },
): Promise<WorkChange> {
  return await change(tx, 'prioritiseWork', PRIORITISE_WORK_SQL, which, checkPriority(priority), by)
}

async function change(
  tx: Connection,
  kind: JobActionKind,
  sql: string,
  which: WhichWork,
  value: Date | number | null,
  by: Request,
): Promise<WorkChange> {
  const { job, ids = null, label = null } = which
  if (ids === null && label === null && (which as { all?: unknown }).all !== true)
    throw new TypeError('Which work is meant has to be said: ids, label, or all: true')
  const { actor, reason } = storableActor(by)
  const { name } = job
  const values = [name, ids, label, ...(value === null ? [] : [value])]
  const { rows } = await tx.query<{
    queueJobId: string | null
    left: number
    transactionId: string
  }>(sql, values)
  const targets = rows.flatMap(({ queueJobId }) =>
    queueJobId === null ? [] : [{ name, queueJobId }],
  )
  await recordActions(tx, kind, targets, { actor, reason })
  const [first] = rows
  return {
    done: targets.length,
    left: first?.left ?? 0,
    transactionId: targets.length > 0 && first ? first.transactionId : null,
  }
}
