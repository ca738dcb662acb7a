/*
 * A worker lives while it holds the session-level advisory lock named after it. PostgreSQL releases the lock the moment the
 * worker's connection ends, however its process dies.
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
