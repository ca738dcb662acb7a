/*
 * A worker is alive while it holds the session-level advisory lock of its id. PostgreSQL releases the lock when the worker's
 * connection ends, even if its process is killed.
 */

/** The number of the advisory lock that a living worker holds, from its id as SQL. */
export function workerLockKey(workerId: string): string {
  return `hashtextextended(${workerId}, 0)`
}

/**
 * Whether the row `lock` of pg_locks is the granted lock of the worker with the key `key`, and not the shared lock of a session
 * that checks whether it is alive.
 */
export const IS_WORKER_LOCK = `
  lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1 and lock.mode = 'ExclusiveLock'
  and lock.database = (select oid from pg_database where datname = current_database())
  and lock.classid::bigint = (key >> 32) & 4294967295
  and lock.objid::bigint = key & 4294967295`

/**
 * Whether the worker with this id, an expression, is alive. Other workers and the worker itself use only this test.
 *
 * A session that gets the worker's lock shared knows that no worker holds it, and keeps it until the transaction ends. A
 * returning worker waits for that, so use it only in short transactions. Any number may test at once. The expression is
 * volatile: put it into a materialized CTE if the number or time of evaluations matters.
 */
export function isAliveSql(workerId: string): string {
  return `not pg_try_advisory_xact_lock_shared(${workerLockKey(workerId)})`
}
