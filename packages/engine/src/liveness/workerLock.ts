/** The number of the advisory lock that a living worker holds, from its id as SQL. */
export function workerLockKey(workerId: string): string {
  return `hashtextextended(${workerId}, 0)`
}

/**
 * Whether the row `lock` of pg_locks is that of a worker, whose key is `key`, and granted: not that of somebody who
 * asks whether it lives (isAliveSql.ts).
 */
export const IS_WORKER_LOCK = `
  lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1 and lock.mode = 'ExclusiveLock'
  and lock.database = (select oid from pg_database where datname = current_database())
  and lock.classid::bigint = (key >> 32) & 4294967295
  and lock.objid::bigint = key & 4294967295`
