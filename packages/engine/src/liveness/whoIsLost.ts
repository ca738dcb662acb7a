import type { Connection } from '../store/database.ts'

/*
 * Who is lost. A worker lives while it holds the session-level advisory lock named after it, which PostgreSQL releases the
 * moment its connection ends, however its process dies. Behind a transaction pooler, where nobody can hold such a lock, it
 * lives while its last heartbeat is less than HEARTBEAT_TIMEOUT_MS old. It holds its runs by claims, and unwritten ones by
 * starts of the same ids. Both are lost when their worker does not live, and the worker that finds them ends their runs
 * (rescue.ts).
 *
 * Read from top to bottom: the lock, the heartbeat, whether one worker lives, what runs, and which claims are lost.
 */

/** The number of the advisory lock that a living worker holds, from its id as SQL. */
export function workerLockKey(workerId: string): string {
  return `hashtextextended(${workerId}, 0)`
}

/**
 * Whether the row `lock` of pg_locks is the granted lock of the worker with the key `key`, not the shared one of somebody
 * who asks whether it lives.
 */
export const IS_WORKER_LOCK = `
  lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1 and lock.mode = 'ExclusiveLock'
  and lock.database = (select oid from pg_database where datname = current_database())
  and lock.classid::bigint = (key >> 32) & 4294967295
  and lock.objid::bigint = key & 4294967295`

/** Others take a worker without a session lock for dead when its last heartbeat is older. */
export const HEARTBEAT_TIMEOUT_MS = 30_000

/**
 * Whether the heartbeat in a row of JobWorker is recent. It uses the time of the statement: its transaction may have waited
 * since it began.
 */
export function isBeatingSql(worker: string): string {
  return `${worker}."heartbeatAt" >= statement_timestamp() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'`
}

/**
 * Whether a worker lives: the one way to ask, for others and for a worker itself. `workerId` is its id; `worker` stands for
 * its row of JobWorker, which may be missing.
 *
 * Who gets the worker's lock shared knows that nobody holds it, and keeps it until the transaction ends. A worker that
 * comes back waits for that, so ask only in short transactions. Any number may ask at once. The expression is volatile: put
 * it into a materialized CTE where it matters how often or when PostgreSQL evaluates it.
 */
export function isAliveSql(workerId: string, worker: string): string {
  return `case when ${worker}."liveness" = 'heartbeat' then ${isBeatingSql(worker)}
    else not pg_try_advisory_xact_lock_shared(${workerLockKey(workerId)})
  end`
}

/** The row of JobThrottle that says when a worker last signed off, since its own row goes then. No job has this name. */
export const LAST_SIGN_OFF = 'last sign-off'

/** A subquery that tells whether a worker lives: one row, `isAlive`. `workerId` is a text. */
export function aliveSql(workerId: string): string {
  return `
    select ${isAliveSql('me.id', 'worker')} as "isAlive"
    from (select ${workerId}::text as id) me left join "JobWorker" worker on worker."id" = me.id`
}

/** Whether the worker with the id `$1` lives. */
export const IS_ALIVE_SQL = aliveSql('$1')

/**
 * `claim` and `run` of each written run that is under way. It starts from the claims: JobRun has no index of running runs,
 * so that ending a run touches none.
 */
export const RUNNING_RUNS = `
  "JobClaim" claim cross join unnest(claim."runIds") held(id)
  join "JobRun" run on run."id" = held.id and run."status" = 'running'`

/** A claim or start of a worker that is gone. */
export interface LostClaim {
  id: string
  name: string
}

/** Keeps a round short, however much is lost. Any of them: where some stay locked, the others have their turn. */
const MAX_LOST = 500

/** Claims and starts of workers that are gone, except `$1`. It asks once for each worker, however much that holds. */
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
  order by random() limit ${MAX_LOST}`

/** Finds claims that seem lost at this moment. Just after a restart of PostgreSQL they may not be: see RESCUE_GRACE_MS. */
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
