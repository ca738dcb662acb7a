import type { Job } from '../job/defineJob.ts'
import {
  checkRequest,
  checkWhichWork,
  POSTPONE_REQUEST,
  PRIORITISE_REQUEST,
} from '../arguments/actions.ts'
import type { Connection } from '../database/database.ts'
import { rankOf } from '../queue/place.ts'
import { CANCEL_WORK_SQL, POSTPONE_WORK_SQL, PRIORITISE_WORK_SQL } from '../queue/waitingSql.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'
import { recordActions, type Actor, type JobActionKind } from '../queue/recordActions.ts'

/** Selects waiting work of a job, retries included: all of it, or work that matches all of the given ids, label and key. */
export type WhichWork = { job: Pick<Job, 'name'> } & (
  | { ids: readonly string[]; label?: string; key?: string }
  | { ids?: undefined; label: string; key?: string }
  | { ids?: undefined; label?: undefined; key: string }
  | { ids?: undefined; label?: undefined; key?: undefined; all: true }
)

/** The result of a call. It changes at most 10,000 pieces, in the order in which workers would take them. */
export interface WorkOutcome {
  done: number
  /**
   * Matching pieces that did not change: those beyond the maximum of a call, and those locked by a claim or another change at
   * that moment. Exact up to 100,000, which also stands for more.
   */
  left: number
}

/** Cancels waiting work: it never runs, and its unique key is free. */
export async function cancelWork(
  tx: Connection,
  which: WhichWork,
  request: ActionRequest,
): Promise<WorkOutcome> {
  return await change(tx, 'cancelWork', CANCEL_WORK_SQL, which, null, checkRequest(request).by)
}

/**
 * Postpones work to `startAfter`, except work that is already due later. With an instant in the past, delayed work becomes due
 * now. `expiresAt` does not change.
 */
export async function postponeWork(
  tx: Connection,
  which: WhichWork,
  request: ActionRequest & { startAfter: Date },
  onWork: OnCommit,
): Promise<WorkOutcome> {
  const { startAfter, by } = checkRequest(request, POSTPONE_REQUEST)
  const isDue = startAfter.getTime() <= Date.now() + 1_000
  const onChange = isDue ? onWork : undefined
  return await change(tx, 'postponeWork', POSTPONE_WORK_SQL, which, startAfter, by, onChange)
}

export async function prioritiseWork(
  tx: Connection,
  which: WhichWork,
  request: ActionRequest & { priority: number },
): Promise<WorkOutcome> {
  const { priority, by } = checkRequest(request, PRIORITISE_REQUEST)
  return await change(tx, 'prioritiseWork', PRIORITISE_WORK_SQL, which, rankOf(priority), by)
}

/**
 * Changes waiting work with a statement, records the change, and counts the unchanged rest.
 * @throws ArgumentError unless `which` selects its work
 */
async function change(
  tx: Connection,
  kind: JobActionKind,
  sql: string,
  which: WhichWork,
  value: Date | number | null,
  by: Actor,
  onChange?: OnCommit,
): Promise<WorkOutcome> {
  const { name, ids, label, key } = checkWhichWork(which)
  const values = [name, ids, label, key, ...(value === null ? [] : [value])]
  const { rows } = await tx.query<{
    workId: string | null
    left: number
    transactionId: string
  }>(sql, values)
  const targets = rows.flatMap(({ workId }) => (workId === null ? [] : [{ name, workId }]))
  await recordActions(tx, kind, targets, by)
  const [first] = rows
  if (targets.length > 0 && first) onChange?.(name, first.transactionId)
  return { done: targets.length, left: first?.left ?? 0 }
}
