import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../job/logger.ts'
import type { AnyRow, Connection } from './database.ts'
import { DEADLOCK_DETECTED, hasSqlState, LOCK_NOT_AVAILABLE } from './sqlState.ts'

/*
 * How the tables are changed beside work that goes on. Whoever waits for a table's lock holds up all that come later, even
 * readers. So a change waits two seconds at most, lets the others pass, and tries again, ever later, for as long as it takes.
 */

const LOCK_TIMEOUT_MS = 2_000
/** For all locks after the first: whoever already waits for us looks for a deadlock after a second. */
const FURTHER_LOCK_TIMEOUT_MS = 200
const FIRST_PAUSE_S = 0.5
const MAX_PAUSE_S = 10
/** Of a script, which holds a snapshot meanwhile: two minutes. */
export const MAX_TRIES_OF_SCRIPT = 16

/** Puts a limit on what the SQL after it waits, until its transaction ends. For one message with that SQL. */
export const LIMIT_WAITS_SQL = `select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true)`

/**
 * Tries until nobody has locked what the work needs. The work must leave nothing when it fails for that. `onLocked` is called
 * before each further try, and may throw to end them.
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

/**
 * Runs SQL of one or several statements in a transaction of its own, as soon as nobody has locked what it changes. `note` is
 * SQL that changes nothing of which others make use.
 */
export async function changeTables(
  connection: Connection,
  sql: string,
  note = 'select',
): Promise<void> {
  await tryUntilFree(() => connection.query(changeTablesSql(sql, note, 1).join('; ')))
}

/** The same for a script, which cannot try its transaction again: it tries to take the locks, and says who has them. */
export function changeTablesSql(
  sql: string,
  note = 'select',
  maxTries = MAX_TRIES_OF_SCRIPT,
): string[] {
  return ['begin', LIMIT_WAITS_SQL, takeLocksSql(changedTables(sql), maxTries), sql, note, 'commit']
}

/** What takes a lock that readers or writers wait for. Other settings of a table (`set (…)`) take none. */
const CHANGES =
  /\b(?:alter table(?: if exists)?|create (?:unique )?index(?: if not exists)? \S+ on|create(?: or replace)? view|drop view(?: if exists)?|update|insert into|after \w+ on|before \w+ on)\s+("\w+")(?!\s+set \()/gi

/** The tables and views that the SQL changes, views first: whoever reads a view locks it before its tables. */
function changedTables(sql: string): string[] {
  const views = new Set(
    [...sql.matchAll(/\bview(?: if exists)?\s+("\w+")/gi)].map(([, name]) => name as string),
  )
  const names = new Set([...sql.matchAll(CHANGES)].map(([, name]) => name as string))
  const tables = [...names].filter((name) => !views.has(name))
  return [...[...views].toSorted(), ...tables.toSorted()]
}

/**
 * Locks these tables in this order, which is always the same, so that two that change tables do not wait for each other. What
 * is yet to be created is left out. For all but the first it waits for a moment only.
 */
export function takeLocksSql(tables: readonly string[], maxTries = 1): string {
  if (tables.length === 0) return 'select'
  const names = tables.map((name) => `'${name}'`).join(', ')
  return `do $locks$
    declare
      table_name text;
      held record;
      tries int := 0;
    begin
      loop
        begin
          foreach table_name in array array[${names}] loop
            if to_regclass(table_name) is not null then
              execute 'lock table ' || table_name || ' in access exclusive mode';
              perform set_config('lock_timeout', '${FURTHER_LOCK_TIMEOUT_MS}', true);
            end if;
          end loop;
          exit;
        exception when lock_not_available or deadlock_detected then
          tries := tries + 1;
          if tries = ${maxTries} then raise; end if;
          for held in
            select distinct on (pid) activity.pid, application_name, state, xact_start, left(query, 100) as query
            from pg_locks lock join pg_stat_activity activity using (pid)
            where lock.granted and lock.pid <> pg_backend_pid() and lock.locktype = 'relation'
              and lock.database = (select oid from pg_database where datname = current_database())
              and lock.relation = any(array(select to_regclass(name)::oid from unnest(array[${names}]) name))
          loop
            raise warning 'waiting for a lock that another session holds: pid %, application %, % since %, %',
              held.pid, held.application_name, held.state, held.xact_start, held.query;
          end loop;
        end;
        perform pg_sleep(least(${MAX_PAUSE_S}, ${FIRST_PAUSE_S} * 2 ^ (tries - 1)));
      end loop;
    end $locks$`
}

/** A wait for a further lock is over after a fifth of a second. */
const LOOK_EVERY_MS = 100

const blockersSql = (waiting: string) => `
  select distinct held.pid, blocker.application_name as "application", blocker.state, blocker.xact_start as "since",
         left(blocker.query, 100) as "query"
  from pg_stat_activity waiting cross join unnest(pg_blocking_pids(waiting.pid)) held(pid)
    left join pg_stat_activity blocker on blocker.pid = held.pid
  where waiting.datname = current_database() and waiting.application_name = '${waiting}' and held.pid <> pg_backend_pid()`

/**
 * Says in the log for which sessions those of this application wait, once for each that it sees. The process id 0 is a
 * prepared transaction.
 * @returns what ends it
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
