import { v7 as uuid } from 'uuid'
import { checkRequest, DELETE_REQUEST } from '../arguments/actions.ts'
import { checkText } from '../values/argument.ts'
import type { Job } from '../job/defineJob.ts'
import type { Connection } from '../database/database.ts'
import { insertWork } from '../queue/insertWork.ts'
import { addOpenWork, saveRows, targetOf, toWork, type DecidedJob } from '../tick/decideRows.ts'
import { checkTarget } from './checkSchedules.ts'
import {
  MAX_REFUSALS,
  NOT_PAUSED,
  tellDefinition,
  type StoredSchedule,
} from '../tick/storedSchedule.ts'
import type { ActionRequest } from './controlJobs.ts'
import {
  changedError,
  decideFirst,
  LAST_GONE,
  lockKeys,
  workOf,
  type Caller,
} from './lockSchedules.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/** Pauses a schedule: its ticks are skipped until it is resumed. */
export async function pauseKeyed(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  request: ActionRequest,
): Promise<'paused' | 'alreadyPaused' | 'notFound'> {
  return await pause(tx, { name: checkTarget(job, key), key }, request)
}

/** Pauses the schedule of a job's definition. */
export async function pauseSchedule(
  tx: Connection,
  name: string,
  request: ActionRequest,
): Promise<'paused' | 'alreadyPaused' | 'notScheduled'> {
  const outcome = await pause(tx, { name: checkText('name', name), key: '' }, request)
  return outcome === 'notFound' ? 'notScheduled' : outcome
}

/** Resumes a schedule. Ticks that are due by now were due during the pause, and are skipped. */
export async function resumeKeyed(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  request: Actor,
  caller: Caller,
): Promise<'resumed' | 'notPaused' | 'notFound'> {
  return await resume(tx, { name: checkTarget(job, key), key }, request, caller)
}

/** Resumes the schedule of a job's definition. */
export async function resumeSchedule(
  tx: Connection,
  name: string,
  request: Actor,
  caller: Caller,
): Promise<'resumed' | 'notPaused' | 'notScheduled'> {
  const outcome = await resume(tx, { name: checkText('name', name), key: '' }, request, caller)
  return outcome === 'notFound' ? 'notScheduled' : outcome
}

type Place = Pick<StoredSchedule, 'name' | 'key'>

async function pause(tx: Connection, of: Place, request: ActionRequest) {
  const { by } = checkRequest(request)
  const [row] = await lockKeys(tx, of.name, [of.key])
  if (row === undefined || row.retiredAt !== null) return 'notFound'
  // A pause by a person replaces the engine's own pause, which would end by itself.
  if (row.pausedAt !== null && row.refusals < MAX_REFUSALS) return 'alreadyPaused'
  const paused = { pausedAt: row.now, pausedBy: by.actor, pauseReason: by.reason ?? null }
  await saveRows(tx, [{ ...row, ...NOT_PAUSED, ...paused }])
  await recordActions(tx, 'pause', [targetOf(of)], by)
  return 'paused'
}

async function resume(tx: Connection, of: Place, request: Actor, caller: Caller) {
  const { by } = checkRequest(request)
  const [row] = await lockKeys(tx, of.name, [of.key])
  if (row === undefined || row.retiredAt !== null) return 'notFound'
  if (row.pausedAt === null) return 'notPaused'
  const decided = (await decideFirst(tx, { name: of.name }, [row], caller)).get(of.key) ?? row
  await saveRows(tx, [{ ...decided, ...NOT_PAUSED }])
  await recordActions(tx, 'resume', [targetOf(of)], by)
  return 'resumed'
}

/** Deletes a schedule after its due ticks are decided. Its ticks stay in the ledger, and its work in the queue. */
export async function deleteKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: Actor & { ifVersion?: number },
  caller: Caller,
): Promise<'deleted' | 'notFound'> {
  const name = checkTarget(job, key)
  const { ifVersion, by } = checkRequest(request, DELETE_REQUEST)
  const [row] = await lockKeys(tx, name, [key])
  if (row === undefined) return 'notFound'
  if (ifVersion !== undefined && ifVersion !== row.version) throw changedError(name, row, ifVersion)
  await decideFirst(tx, job, [row], caller)
  await tx.query(DELETE_SQL, [name, key])
  const target = { name, scheduleKey: key, change: `none, before: ${tellDefinition(row)}` }
  await recordActions(tx, 'reschedule', [target], by)
  return 'deleted'
}

/** Enqueues work of a schedule now, in addition to its ticks, also while it is paused. */
export async function triggerKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: ActionRequest,
  { log, onWork }: Caller,
): Promise<{ kind: 'requested'; workId: string } | { kind: 'notFound' }> {
  const name = checkTarget(job, key)
  const { by } = checkRequest(request)
  const [row] = await lockKeys(tx, name, [key])
  if (row === undefined) return { kind: 'notFound' }
  const id = uuid()
  const previousAt = row.lastAt?.toISOString() ?? null
  const payloadAndLabel = workOf(job, row, log)
  const work = toWork(row, { id, ...payloadAndLabel, previousAt, scheduledFor: null, by })
  const { transactionId } = await insertWork(tx, [work])
  await saveRows(tx, [{ ...row, openWork: addOpenWork(row, [id]) }])
  await recordActions(tx, 'run', [{ name, workId: id, scheduleKey: key }], by)
  if (transactionId !== null) onWork(name, transactionId)
  return { kind: 'requested', workId: id }
}

const DELETE_SQL = `
  with gone as (
    delete from "JobSchedule" where "name" = $1::text and "key" = $2::text returning "version"
  )
  select nextval('roundsman."JobKeyedVersion"') from gone, generate_series(coalesce(${LAST_GONE}, 0) + 1, gone."version")`
