import type { Job } from '../job/defineJob.ts'
import { checkRequest } from '../arguments/actions.ts'
import { checkId, checkJobName } from '../values/argument.ts'
import type { Connection } from '../database/database.ts'
import {
  APPROVE_RUN_SQL,
  FIND_PAYLOAD_OF_WORK_SQL,
  FIND_PAYLOAD_SQL,
  KNOWS_RUN_SQL,
  LOCK_BLOCKED_RUN_SQL,
  LOCK_WORK_OF_RUN_SQL,
} from '../queue/blockedRunSql.ts'
import type { NewWork } from '../queue/enqueueWork.ts'
import type { Envelope } from '../queue/envelope.ts'
import type { EnqueueResult } from '../job/enqueue.ts'
import type { Shown } from '../job/labelWork.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/** Who wants something done to a job or a run, and why. The engine records both. */
export interface ActionRequest extends Actor {
  reason: string
}

/**
 * Tells what a change has done beside its outcome, once for each job, run or limit that it is about: whoever waits for that is woken
 * when the transaction has committed.
 */
export type OnCommit = (name: string, transactionId: string) => void

/** Asks a run that is under way to stop: its worker reads JobCancel. No row that the run's end needs is locked for that. */
export async function requestCancellation(
  tx: Connection,
  runId: string,
  request: ActionRequest,
  onRequest: OnCommit,
): Promise<'requested' | 'notRunning' | 'notFound'> {
  const id = checkId('runId', runId)
  const { by } = checkRequest(request)
  const { actor, reason = null } = by
  const { rows } = await tx.query<{ name: string; isRunning: boolean; transactionId: string }>(
    `with run as materialized (
       select "id", "name", "status" = 'running' as "isRunning" from "JobRunAll" where "id" = $1::uuid
     ), asked as (
       insert into "JobCancel" ("runId", "name", "requestedBy", "reason")
       select "id", "name", $2, $3 from run where "isRunning" on conflict do nothing
     )
     select "name", "isRunning", pg_current_xact_id()::text as "transactionId" from run`,
    [id, actor, reason],
  )
  const [run] = rows
  if (!run?.isRunning) return run ? 'notRunning' : 'notFound'
  await recordActions(tx, 'cancel', [{ name: run.name, runId: id }], by)
  onRequest(runId, run.transactionId)
  return 'requested'
}

export type FoundPayload =
  | { kind: 'found'; payload: unknown }
  | { kind: 'payloadGone' | 'notFound' }

/** Finds the payload of a run of this job, or of work of it. */
export async function findPayload(
  tx: Connection,
  job: Pick<Job, 'name'>,
  { runId, id }: { runId: string | undefined; id: string },
): Promise<FoundPayload> {
  const name = checkJobName('job', job)
  const { rows } = await tx.query<{ name: string; payload: string | null }>(
    runId === undefined ? FIND_PAYLOAD_OF_WORK_SQL : FIND_PAYLOAD_SQL,
    [id],
  )
  const [run] = rows
  if (run?.name !== name) return { kind: 'notFound' }
  if (run.payload === null) return { kind: 'payloadGone' }
  return { kind: 'found', payload: JSON.parse(run.payload) }
}

/**
 * `rows`: how many the new run may change. `alreadyQueued`: other work has the unique key of the run's work, or that
 * runs again: nothing is approved while it waits or runs. `payloadGone`: the queue no longer holds the run's payload.
 * Call `requestRun` with one instead.
 */
export type ApproveOutcome =
  | { kind: 'approved'; workId: string; rows: number }
  | { kind: 'alreadyQueued'; workId: string }
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' | 'payloadGone' }

interface WorkOfRun {
  [column: string]: unknown
  rank: number
  uniqueKey: string | null
  key: string | null
  isWaiting: boolean
}

interface BlockedRun {
  name: string
  isApproved: boolean
  isTooOld: boolean
  due: number | null
  /** When an approval of this moment ends. */
  until: string
  label: string | null
  /** Both as JSON text: a host's client that reads JSON may rename its keys. */
  payload: string | null
  shown: string | null
  key: string | null
}

/**
 * Marks a blocked run as approved, once, and enqueues another with its payload, keys and priority, which may change as many
 * rows as were counted. The run's own work, a dead letter or redriven, is removed: the new work takes its place.
 */
export async function approveRun(
  tx: Connection,
  runId: string,
  request: ActionRequest,
  enqueue: (name: string, work: NewWork) => Promise<EnqueueResult>,
): Promise<ApproveOutcome> {
  const id = checkId('runId', runId)
  const { by } = checkRequest(request)
  const lock = async () => (await tx.query<WorkOfRun>(LOCK_WORK_OF_RUN_SQL, [id])).rows[0]
  // What somebody has just redriven is gone from the table where the first look met it. The second finds it in the other.
  const work = (await lock()) ?? (await lock())
  const { rows } = await tx.query<BlockedRun & { [column: string]: unknown }>(
    LOCK_BLOCKED_RUN_SQL,
    [id],
  )
  const [run] = rows
  if (!run) {
    const isKnown = (await tx.query(KNOWS_RUN_SQL, [id])).rows.length > 0
    return { kind: isKnown ? 'notBlocked' : 'notFound' }
  }
  const { name, label, shown, due } = run
  if (due === null) return { kind: 'notBlocked' }
  if (run.isApproved) return { kind: 'alreadyApproved' }
  if (run.isTooOld) return { kind: 'tooLate' }
  if (run.payload === null) return { kind: 'payloadGone' }
  const envelope: Envelope = {
    payload: JSON.parse(run.payload) as unknown,
    trigger: 'manual',
    ...by,
    approvedRows: due,
    approvedUntil: run.until,
    ...(label !== null && { label }),
    ...(shown !== null && { shown: JSON.parse(shown) as Shown }),
  }
  const { rank = 0, uniqueKey = null, key = run.key, isWaiting = false } = work ?? {}
  const options = { priority: -rank, ...(uniqueKey !== null && { uniqueKey }) }
  const approve = () => tx.query(APPROVE_RUN_SQL, [id, by.actor])
  // Work that waits has its key until it is removed, and nobody can take that before this transaction ends.
  if (isWaiting) await approve()
  const { kind, workId } = await enqueue(name, { envelope, options, ...(key !== null && { key }) })
  if (kind !== 'enqueued') return { kind: 'alreadyQueued', workId }
  if (!isWaiting) await approve()
  await recordActions(tx, 'approve', [{ name, runId: id, workId }], by)
  return { kind: 'approved', workId, rows: due }
}
