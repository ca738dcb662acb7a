import { HEARTBEAT_TIMEOUT_MS } from './session.ts'

/**
 * Whether the worker of a row lives. `workerId` is its id; `worker` stands for its row of JobWorker, which may
 * be missing. A worker that lives holds the advisory lock named after it (session.ts), or beats.
 */
export function isAliveSql(workerId: string, worker: string): string {
  return `case when ${worker}."liveness" = 'heartbeat'
    then ${worker}."heartbeatAt" >= now() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'
    else exists (
      select from pg_locks lock, hashtextextended(${workerId}, 0) as key
      where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
        and lock.database = (select oid from pg_database where datname = current_database())
        and lock.classid::bigint = (key >> 32) & 4294967295
        and lock.objid::bigint = key & 4294967295
    )
  end`
}
