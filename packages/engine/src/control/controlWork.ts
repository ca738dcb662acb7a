import type { Job } from '../index.ts'
import type { Connection } from '../store/database.ts'
import { checkDate, checkPriority } from '../store/enqueueWork.ts'
import { CANCEL_WORK_SQL, POSTPONE_WORK_SQL, PRIORITISE_WORK_SQL } from '../store/waitingSql.ts'
import type { Request } from './controlJobs.ts'
import { recordActions, storableActor, type JobActionKind } from './recordActions.ts'

/** Waiting work of one job: these pieces, all with this label, both, or all of it, what is to be retried included. */
export type WhichWork = { job: Pick<Job, 'name'> } & (
  | { ids: readonly string[]; label?: string }
  | { ids?: undefined; label: string }
  | { ids?: undefined; label?: undefined; all: true }
)

/** At most 10,000 pieces at once, what a worker would take first at first. */
export interface WorkOutcome {
  done: number
  /**
   * How many are like that and were left: beyond what one call does, or taken or changed by somebody at this very moment.
   * Exact up to 100,000, which also stands for more.
   */
  left: number
}

/** With the transaction that others have to wait for, where something has become due. */
export type WorkChange = WorkOutcome & { transactionId: string | null }

/** It leaves the queue without a run, and lets go of its unique key. */
export async function cancelWork(
  tx: Connection,
  which: WhichWork,
  by: Request,
): Promise<WorkChange> {
  return await change(tx, 'cancelWork', CANCEL_WORK_SQL, which, null, by)
}

/**
 * Not before `startAfter`: what is due later than that stays. Where that is not in the future, what is not due yet becomes
 * so now. `expiresAt` stays what it is.
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
