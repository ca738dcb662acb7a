import type { Job } from '../job/defineJob.ts'
import { checkId, checkJobName, checkText } from '../job/argument.ts'
import type { Connection } from '../store/database.ts'
import { readLabel } from '../store/envelope.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { FIND_PAYLOAD_SQL, LOCK_BLOCKED_RUN_SQL, LOCK_WORK_OF_RUN_SQL } from '../store/queueSql.ts'
import { CANCEL_WORK_OF_APPROVED_RUN_SQL } from '../store/waitingSql.ts'
import { recordActions, storableActor, type Actor } from './recordActions.ts'

/** Who wants something done to a job or a run, and why. The engine records both. */
export interface Request extends Actor {
  reason: string
}

export type Cancellation =
  | { kind: 'requested'; transactionId: string }
  | { kind: 'notRunning' | 'notFound' }

/** Whether a transaction does not see what others commit after its first statement. */
export async function keepsSnapshot(tx: Connection): Promise<boolean> {
  const { rows } = await tx.query<{ keeps: boolean }>(
    `select current_setting('transaction_isolation') in ('repeatable read', 'serializable') as "keeps"`,
  )
  return rows[0]?.keeps === true
}

/** Records that a running run shall stop. The run must be written, and visible to the transaction. */
export async function requestCancellation(
  tx: Connection,
  runId: string,
  by: Request,
): Promise<Cancellation> {
  const { actor, reason } = storableActor(by)
  const { rows: requested } = await tx.query<{ name: string; transactionId: string }>(
    `update "JobRun"
     set "cancelRequestedAt" = coalesce("cancelRequestedAt", now()),
         "cancelRequestedBy" = coalesce("cancelRequestedBy", $2),
         "reason" = coalesce("reason", $3)
     where "id" = $1::uuid and "status" = 'running'
     returning "name", pg_current_xact_id()::text as "transactionId"`,
    [runId, actor, reason],
  )
  const [run] = requested
  if (run) {
    await recordActions(tx, 'cancel', [{ name: run.name, runId }], { actor, reason })
    return { kind: 'requested', transactionId: run.transactionId }
  }
  const { rows } = await tx.query(`select 1 as found from "JobRun" where "id" = $1::uuid`, [runId])
  return { kind: rows.length > 0 ? 'notRunning' : 'notFound' }
}

/** Pauses a schedule: its ticks are skipped from now on. Records who did it and why. */
export async function pauseSchedule(
  tx: Connection,
  name: string,
  by: Request,
): Promise<'paused' | 'alreadyPaused' | 'notScheduled'> {
  checkText('name', name)
  const { actor, reason } = storableActor(by)
  const { rows: paused } = await tx.query(
    `update "JobSchedule" set "pausedAt" = now(), "pausedBy" = $2, "pauseReason" = $3, "updatedAt" = now()
     where "name" = $1 and "pausedAt" is null returning "name"`,
    [name, actor, reason],
  )
  if (paused.length > 0) {
    await recordActions(tx, 'pause', [{ name }], { actor, reason })
    return 'paused'
  }
  return (await isScheduled(tx, name)) ? 'alreadyPaused' : 'notScheduled'
}

/** Resumes a paused schedule, and records who did it. */
export async function resumeSchedule(
  tx: Connection,
  name: string,
  request: Actor,
): Promise<'resumed' | 'notPaused' | 'notScheduled'> {
  checkText('name', name)
  const by = storableActor(request)
  const { rows: resumed } = await tx.query(
    `update "JobSchedule"
     set "pausedAt" = null, "pausedBy" = null, "pauseReason" = null, "updatedAt" = now()
     where "name" = $1 and "pausedAt" is not null returning "name"`,
    [name],
  )
  if (resumed.length > 0) {
    await recordActions(tx, 'resume', [{ name }], by)
    return 'resumed'
  }
  return (await isScheduled(tx, name)) ? 'notPaused' : 'notScheduled'
}

export type FoundPayload =
  | { kind: 'found'; payload: unknown }
  | { kind: 'payloadGone' | 'notFound' }

/** Finds the payload of a run of this job. */
export async function findPayload(
  tx: Connection,
  job: Pick<Job, 'name'>,
  runId: string,
): Promise<FoundPayload> {
  const name = checkJobName('job', job)
  const { rows } = await tx.query<{ name: string; payload: string | null }>(FIND_PAYLOAD_SQL, [
    checkId('runId', runId),
  ])
  const [run] = rows
  if (run?.name !== name) return { kind: 'notFound' }
  if (run.payload === null) return { kind: 'payloadGone' }
  return { kind: 'found', payload: JSON.parse(run.payload) ?? {} }
}

export type Approval =
  | ({ kind: 'taken'; name: string; payload: unknown; rows: number; until: string } & WorkLabel)
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' | 'payloadGone' }

interface BlockedRun {
  name: string
  isBlocked: boolean
  isApproved: boolean
  isTooOld: boolean
  due: number | null
  /** When an approval of this moment ends. */
  until: string
  label: string | null
  /** Both as JSON text: a host's client that reads JSON may rename its keys. */
  payload: string | null
  shown: string | null
}

/**
 * Marks a blocked run as approved, once, and returns what its successor needs: the payload, and how much is approved until
 * when. The run's own work, a dead letter or redriven, is cancelled: the successor takes its place.
 */
export async function takeApproval(
  tx: Connection,
  runId: string,
  actor: string,
): Promise<Approval> {
  const id = checkId('runId', runId)
  await tx.query(LOCK_WORK_OF_RUN_SQL, [id])
  const { rows } = await tx.query<BlockedRun>(LOCK_BLOCKED_RUN_SQL, [id])
  const [run] = rows
  if (!run) return { kind: 'notFound' }
  if (!run.isBlocked || run.due === null) return { kind: 'notBlocked' }
  if (run.isApproved) return { kind: 'alreadyApproved' }
  if (run.isTooOld) return { kind: 'tooLate' }
  if (run.payload === null) return { kind: 'payloadGone' }
  await tx.query(
    `update "JobRun" set "approvedAt" = now(), "approvedBy" = $2 where "id" = $1::uuid returning "id"::text`,
    [runId, actor],
  )
  await tx.query(CANCEL_WORK_OF_APPROVED_RUN_SQL, [id])
  return {
    kind: 'taken',
    name: run.name,
    payload: JSON.parse(run.payload) ?? {},
    rows: run.due,
    until: run.until,
    ...readLabel({ label: run.label, shown: run.shown === null ? null : JSON.parse(run.shown) }),
  }
}

async function isScheduled(tx: Connection, name: string): Promise<boolean> {
  const { rows } = await tx.query(`select "name" from "JobSchedule" where "name" = $1`, [name])
  return rows.length > 0
}
