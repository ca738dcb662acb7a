import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../job/logger.ts'
import type { AnyRow } from './database.ts'
import { DEADLOCK_DETECTED, hasSqlState, LOCK_NOT_AVAILABLE } from './sqlState.ts'

/*
 * Changes tables while other sessions use them. A session that waits for a table's lock blocks all later ones, even readers. So
 * a change waits at most two seconds, lets the others pass, and tries again after increasing pauses, without a limit.
 */

const LOCK_TIMEOUT_MS = 2_000
const FIRST_PAUSE_S = 0.5
const MAX_PAUSE_S = 10

/** Limits the lock waits of the SQL after it, until its transaction ends. Send it in one message with that SQL. */
export const LIMIT_WAITS_SQL = `select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true)`

/**
 * Tries until no other session has locked what the work needs. The work must leave no effect if it fails because of a lock.
 * `onLocked` is called before each further try, and may throw to end them.
 */
export async function tryUntilFree<Value>(
  work: () => Promise<Value>,
  onLocked?: (error: Error) => void,
): Promise<Value> {
  for (let pauseS = FIRST_PAUSE_S; ; pauseS = Math.min(2 * pauseS, MAX_PAUSE_S)) {
    try {
      return await work()
    } catch (error) {
      const isLocked =
        hasSqlState(error, LOCK_NOT_AVAILABLE) || hasSqlState(error, DEADLOCK_DETECTED)
      if (!isLocked) throw error
      onLocked?.(error)
    }
    await pause(pauseS * 1_000)
  }
}

/** The wait for a further lock ends after a fifth of a second. */
const LOOK_EVERY_MS = 100

const blockersSql = (waiting: string) => `
  select distinct held.pid, blocker.application_name as "application", blocker.state, blocker.xact_start as "since",
         left(blocker.query, 100) as "query"
  from pg_stat_activity waiting cross join unnest(pg_blocking_pids(waiting.pid)) held(pid)
    left join pg_stat_activity blocker on blocker.pid = held.pid
  where waiting.datname = current_database() and waiting.application_name = '${waiting}' and held.pid <> pg_backend_pid()`

/**
 * Logs the sessions for which sessions of this application wait, each of them once. The process id 0 is a prepared transaction.
 * @returns a function that stops it
 */
export function tellWaits(
  ask: (sql: string) => Promise<{ rows: AnyRow[] }>,
  { application, log }: { application: string; log: Pick<Logger, 'warn'> },
): () => Promise<void> {
  const told = new Set<unknown>()
  let looking: Promise<void> = Promise.resolve()
  const look = async () => {
    const { rows } = await ask(blockersSql(application))
    for (const blocker of rows) {
      if (told.has(blocker.pid)) continue
      told.add(blocker.pid)
      log.warn(blocker, 'waiting for a lock that another session holds')
    }
  }
  const timer = setInterval(() => {
    looking = looking.then(look).catch(() => undefined)
  }, LOOK_EVERY_MS)
  return async () => {
    clearInterval(timer)
    await looking
  }
}
