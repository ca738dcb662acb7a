import { workerLockKey } from './workerLock.ts'

/**
 * Whether the worker of a row lives: the one way in which anybody asks, about others or about itself. `workerId` is its
 * id; `worker` stands for its row of JobWorker, which may be missing.
 *
 * A worker that lives holds the advisory lock named after it (session.ts): whoever gets the same lock shared knows that
 * nobody does. It keeps it until its transaction ends, and until then a worker that comes back has to wait: only for
 * short transactions. Any number may ask at once. It is a volatile expression: where it counts how often it is asked,
 * or when, it belongs into a materialized CTE.
 */
export function isAliveSql(workerId: string, worker: string): string {
  return `case when ${worker}."liveness" = 'heartbeat' then ${isBeatingSql(worker)}
    else not pg_try_advisory_xact_lock_shared(${workerLockKey(workerId)})
  end`
}

/** Without session locks, a worker that gives no sign of life for this long is taken for dead. */
export const HEARTBEAT_TIMEOUT_MS = 30_000

/**
 * Whether a row of JobWorker tells that its worker's heart beats. By the time of the statement: its transaction may have
 * waited since it began.
 */
export function isBeatingSql(worker: string): string {
  return `${worker}."heartbeatAt" >= statement_timestamp() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'`
}

/** Whether the worker with the id `$1` lives. A query of one row, `isAlive`. */
export const IS_ALIVE_SQL = aliveSql('$1')

/** The same as part of another statement. `workerId` is a text. */
export function aliveSql(workerId: string): string {
  return `
    select ${isAliveSql('me.id', 'worker')} as "isAlive"
    from (select ${workerId}::text as id) me left join "JobWorker" worker on worker."id" = me.id`
}
