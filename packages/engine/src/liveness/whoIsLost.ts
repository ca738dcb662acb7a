import type { Connection } from '../store/database.ts'

/*
 * Who is lost. A worker lives while it holds the session-level advisory lock named after it, which PostgreSQL lets go
 * the moment its connection ends, however its process dies; behind a transaction pooler, where nobody can hold one,
 * while its last heartbeat is less than HEARTBEAT_TIMEOUT_MS old. What it has taken, it holds by claims. A claim is lost
 * when its worker does not live: whoever finds it ends its runs (rescue.ts). What it has started without writing it is held
 * by a start of the claim's id, and lost with it.
 *
 * Read from top to bottom: the lock, the heartbeat, whether one worker lives, what runs, and which claims are lost.
 */

/** The number of the advisory lock that a living worker holds, from its id as SQL. */
export function workerLockKey(workerId: string): string {
  return `hashtextextended(${workerId}, 0)`
}

/**
 * Whether the row `lock` of pg_locks is that of a worker, whose key is `key`, and granted: not that of somebody who
 * asks whether it lives.
 */
export const IS_WORKER_LOCK = `
  lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1 and lock.mode = 'ExclusiveLock'
  and lock.database = (select oid from pg_database where datname = current_database())
  and lock.classid::bigint = (key >> 32) & 4294967295
  and lock.objid::bigint = key & 4294967295`

/** Without session locks, a worker that gives no sign of life for this long is taken for dead. */
export const HEARTBEAT_TIMEOUT_MS = 30_000

/**
 * Whether a row of JobWorker tells that its worker's heart beats. By the time of the statement: its transaction may have
 * waited since it began.
 */
export function isBeatingSql(worker: string): string {
  return `${worker}."heartbeatAt" >= statement_timestamp() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'`
}

/**
 * Whether the worker of a row lives: the one way in which anybody asks, about others or about itself. `workerId` is its
 * id; `worker` stands for its row of JobWorker, which may be missing.
 *
 * Whoever gets a worker's lock shared knows that nobody holds it. It keeps it until its transaction ends, and until then
 * a worker that comes back has to wait: only for short transactions. Any number may ask at once. It is a volatile
 * expression: where it counts how often it is asked, or when, it belongs into a materialized CTE.
 */
export function isAliveSql(workerId: string, worker: string): string {
  return `case when ${worker}."liveness" = 'heartbeat' then ${isBeatingSql(worker)}
    else not pg_try_advisory_xact_lock_shared(${workerLockKey(workerId)})
  end`
}

/** Whether a worker lives, as part of another statement: one row, `isAlive`. `workerId` is a text. */
export function aliveSql(workerId: string): string {
  return `
    select ${isAliveSql('me.id', 'worker')} as "isAlive"
    from (select ${workerId}::text as id) me left join "JobWorker" worker on worker."id" = me.id`
}

/** Whether the worker with the id `$1` lives. */
export const IS_ALIVE_SQL = aliveSql('$1')

/**
 * `claim` and `run` of each run that is under way. Found by what workers hold: JobRun itself has no index of what
 * runs, so that ending a run touches none.
 */
export const RUNNING_RUNS = `
  "JobClaim" claim cross join unnest(claim."runIds") held(id)
  join "JobRun" run on run."id" = held.id and run."status" = 'running'`

/** What a worker held that is gone. */
export interface LostClaim {
  id: string
  name: string
}

/** So that one round ends soon, however much was lost. */
const MAX_LOST = 500

/** What workers hold that are gone, but not `$1`. Each that holds anything is asked for once, however much it holds. */
export const LOST_CLAIMS_SQL = `
  with holder as materialized (
    select "workerId" as id from "JobClaim" where "workerId" <> $1
    union select "workerId" from "JobStart" where "workerId" <> $1
  ), gone as materialized (
    select holder.id from holder left join "JobWorker" worker on worker."id" = holder.id
    where not ${isAliveSql('holder.id', 'worker')}
  )
  select claim."id", claim."name" from (
    select "id", "name", "workerId" from "JobClaim" union select "id", "name", "workerId" from "JobStart"
  ) claim join gone on gone.id = claim."workerId"
  limit ${MAX_LOST}`

/** Those that seem lost at this moment. Another moment may be needed to tell: see RESCUE_GRACE_MS. */
export async function findLostClaims(
  connection: Connection,
  workerId: string,
): Promise<LostClaim[]> {
  const { rows } = await connection.query<LostClaim & { [column: string]: unknown }>(
    LOST_CLAIMS_SQL,
    [workerId],
  )
  return rows
}
