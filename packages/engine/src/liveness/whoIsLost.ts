import type { Connection } from '../store/database.ts'

/*
 * Who is lost. A worker lives while it holds the session-level advisory lock named after it, which PostgreSQL releases the
 * moment its connection ends, however its process dies. It holds its runs by claims, which are lost when it does not live:
 * the worker that finds them ends their runs (rescue.ts).
 *
 * Read from top to bottom: the lock, whether one worker lives, and which claims are lost.
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

/**
 * Whether the worker with this id, an expression, lives: the one way to ask, for others and for a worker itself.
 *
 * Who gets the worker's lock shared knows that nobody holds it, and keeps it until the transaction ends. A worker that
 * comes back waits for that, so ask only in short transactions. Any number may ask at once. The expression is volatile: put
 * it into a materialized CTE where it matters how often or when PostgreSQL evaluates it.
 */
export function isAliveSql(workerId: string): string {
  return `not pg_try_advisory_xact_lock_shared(${workerLockKey(workerId)})`
}

/** After a restart of PostgreSQL, when not all workers have connected again, one counts as living for so long. */
export const SIGN_COUNTS_MS = 30_000

/**
 * Whether the last heartbeat in a row of JobWorker is recent. It shows that the process was at work, and ends no run. It uses the
 * time of the statement: its transaction may have waited since it began.
 */
export function gaveSignSql(worker: string): string {
  return `${worker}."heartbeatAt" >= statement_timestamp() - interval '${SIGN_COUNTS_MS} milliseconds'`
}

/** The row of JobThrottle that says when a worker last signed off, since its own row goes then. No job has this name. */
export const LAST_SIGN_OFF = 'last sign-off'

/** A claim that its worker can do nothing more with. */
export interface LostClaim {
  id: string
  name: string
  workerId: string
}

/** Keeps a round short, however much is lost. Any of them: where some stay locked, the others have their turn. */
const MAX_LOST = 500

/**
 * Claims of workers that are gone, except `$1`. It begins with the list of workers and asks once for each: after many ended claims
 * the table of claims takes long to read while an old snapshot keeps what was deleted. A worker that holds a claim stays on the list.
 */
export const LOST_CLAIMS_SQL = `
  with gone as materialized (
    select worker."id" from "JobWorker" worker
    where worker."id" <> $1 and not ${isAliveSql('worker."id"')}
  )
  select claim."id"::text as "id", claim."name", claim."workerId" from gone join "JobClaim" claim on claim."workerId" = gone."id"
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
