import { HEARTBEAT_TIMEOUT_MS } from './session.ts'
import { IS_WORKER_LOCK, workerLockKey } from './workerLock.ts'

/**
 * Whether the worker of a row lives. `workerId` is its id; `worker` stands for its row of JobWorker, which may
 * be missing. A worker that lives holds the advisory lock named after it (session.ts), or beats.
 */
export function isAliveSql(workerId: string, worker: string): string {
  return `case when ${worker}."liveness" = 'heartbeat'
    then ${worker}."heartbeatAt" >= now() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'
    else exists (
      select from pg_locks lock, ${workerLockKey(workerId)} as key where ${IS_WORKER_LOCK}
    )
  end`
}
