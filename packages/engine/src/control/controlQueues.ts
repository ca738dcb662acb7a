import { setTimeout as delay } from 'node:timers/promises'
import { checkRequest } from '../arguments/actions.ts'
import { checkText } from '../values/argument.ts'
import type { Connection } from '../database/database.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/**
 * Pauses a queue: after the commit no worker takes work of the job. Runs under way continue. No worker needs to have the job
 * yet.
 */
export async function pauseQueue(
  tx: Connection,
  name: string,
  request: ActionRequest,
): Promise<'paused' | 'pausedUnknown' | 'alreadyPaused'> {
  checkText('name', name)
  const { by } = checkRequest(request)
  const { actor, reason = null } = by
  const isKnown = await knowsQueue(tx, name)
  const { rows } = await tx.query(
    `insert into "JobQueue" ("name", "pausedBy", "pauseReason") values ($1, $2, $3)
     on conflict do nothing returning "name"`,
    [name, actor, reason],
  )
  if (rows.length === 0) return 'alreadyPaused'
  await recordActions(tx, 'pauseQueue', [{ name }], by)
  return isKnown ? 'paused' : 'pausedUnknown'
}

/** Maximum wait of a pause for claims that began before it. */
const MAX_WAIT_MS = 5_000
const LOOK_AGAIN_MS = 10

/**
 * Waits for each claim that began before the pause was committed and may not have seen it. Such a claim still holds the lock
 * with which it writes JobClaim. Other statements hold that lock only briefly; this waits for them, too.
 * @returns whether all have ended; false after five seconds
 */
export async function claimsHaveEnded(connection: Connection): Promise<boolean> {
  const until = performance.now() + MAX_WAIT_MS
  let left = await findClaiming(connection, null)
  while (left.length > 0 && performance.now() < until) {
    await delay(LOOK_AGAIN_MS)
    left = await findClaiming(connection, left)
  }
  return left.length === 0
}

/** The transactions that write JobClaim: all, or those of `among`. */
async function findClaiming(connection: Connection, among: string[] | null): Promise<string[]> {
  const { rows } = await connection.query<{ transaction: string }>(CLAIMING_SQL, [among])
  return rows.map(({ transaction }) => transaction)
}

const CLAIMING_SQL = `
  select distinct virtualtransaction as "transaction" from pg_locks
  where relation = '"JobClaim"'::regclass and mode = 'RowExclusiveLock' and granted and pid <> pg_backend_pid()
    and database = (select oid from pg_database where datname = current_database())
    and ($1::text[] is null or virtualtransaction = any($1::text[]))`

/** Resumes a paused queue, and records who did it. */
export async function resumeQueue(
  tx: Connection,
  name: string,
  request: Actor,
  onWork: OnCommit,
): Promise<'resumed' | 'notPaused' | 'notFound'> {
  checkText('name', name)
  const { by } = checkRequest(request)
  const { rows } = await tx.query<{ transactionId: string }>(
    `delete from "JobQueue" where "name" = $1 returning pg_current_xact_id()::text as "transactionId"`,
    [name],
  )
  const [resumed] = rows
  if (!resumed) return (await knowsQueue(tx, name)) ? 'notPaused' : 'notFound'
  await recordActions(tx, 'resumeQueue', [{ name }], by)
  onWork(name, resumed.transactionId)
  return 'resumed'
}

/** Whether a worker has registered the job, or any row of it is left. Each part reads one entry of an index. */
const KNOWS_QUEUE_SQL = `
  select where exists (select from "JobSchedule" where "name" = $1::text and "key" = '')
    or exists (select from "JobWorker" where "lanes" -> $1::text is not null)
    or exists (select from "JobWork" where "name" = $1::text and "place" is not null and "losses" < 2)
    or exists (select from "JobWork" where "name" = $1::text and "place" is not null and "losses" >= 2)
    or exists (select from "JobWork" where "name" = $1::text and "place" is null)
    or exists (select from "JobClaim" where "name" = $1::text)
    or exists (select from "JobDeadLetter" where "name" = $1::text)
    or exists (select from "JobRun" where "name" = $1::text)
    or exists (select from "JobAction" where "name" = $1::text)`

async function knowsQueue(tx: Connection, name: string): Promise<boolean> {
  return (await tx.query(KNOWS_QUEUE_SQL, [name])).rows.length > 0
}
