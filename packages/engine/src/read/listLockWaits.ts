import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A session for which others of this database have waited for seconds, because of a lock. Instants are ISO 8601 in UTC. */
export interface LockWait {
  /** The longest waiting session: `pid 4712 (roundsman w1 engine)`. For a handler's transaction it belongs to the host's pool. */
  waiter: string
  /** The number of sessions that wait for this one. */
  waiters: number
  since: string
  /** The session that does not wait itself, if any: `pid 4711 (psql, idle in transaction)`. */
  holder: string
  /** The start of its transaction. Null if this role may not see it. */
  holderSince: string | null
}

/** A wait of this length is noticeable for people. */
const MIN_WAIT = '5 seconds'

/** Shown to a role without pg_read_all_stats, which may not see the sessions of others. */
const UNSEEN = 'only pg_read_all_stats may see what it does'

const nameSql = (pid: string, session: string, about: string) => `
  case ${pid} when 0 then 'a prepared transaction'
  else format('pid %s (%s)', ${pid}, case when ${session}.state is null then '${UNSEEN}' else ${about} end) end`

/** Sessions of this database that have waited this long, and the holder for each, as `held`. */
const heldSql = (minWait: string) => `
      with waiting as materialized (
        select session.pid, session.state, session.application_name, min(lock.waitstart) as "since"
        from pg_locks lock join pg_stat_activity session using (pid)
        where not lock.granted and lock.waitstart < clock_timestamp() - interval '${minWait}'
          and session.datname = current_database() and session.backend_type is distinct from 'autovacuum worker'
        group by 1, 2, 3
      ), held as materialized (
        select waiting.*, holder.pid as "holderPid"
        from waiting cross join lateral (
          select blocking.pid from unnest(pg_blocking_pids(waiting.pid)) blocking(pid)
          -- A session in the middle of the line waits as well: the one at its head blocks all.
          order by blocking.pid in (select pid from pg_locks where not granted), blocking.pid limit 1
        ) holder
      )`

const HOLDER = nameSql(
  'held."holderPid"',
  'holder',
  `concat_ws(', ', nullif(holder.application_name, ''), holder.state)`,
)

/**
 * Lists the sessions for which others wait, the longest wait first: at most one for each connection. The run of a host's
 * transaction is unknown: its handler's statements touch none of our tables before their end.
 */
export async function listLockWaits(reader: JobsReader): Promise<LockWait[]> {
  return await reader.rows<LockWait>({
    text: `${heldSql(MIN_WAIT)}
      select ${boundedText('"waiter"')} as "waiter", "waiters", "since", ${boundedText('"holder"')} as "holder", "holderSince"
      from (
        select distinct on (held."holderPid")
               ${nameSql('held.pid', 'held', 'held.application_name')} as "waiter",
               count(*) over (partition by held."holderPid")::int as "waiters", held."since",
               ${HOLDER} as "holder",
               holder.xact_start as "holderSince"
        from held left join pg_stat_activity holder on holder.pid = held."holderPid"
        order by held."holderPid", held."since"
      ) found
      order by "since"`,
  })
}

/** Sessions that have locked one of our tables against writes for some seconds. */
export interface TableLock extends Pick<LockWait, 'holder' | 'holderSince'> {
  tables: string[]
}

/** Lists who keeps workers from taking and ending work. Workers wait for such a lock only half a second at a time, so they are no waiters. */
export async function listTableLocks(reader: JobsReader): Promise<TableLock[]> {
  return await reader.rows<TableLock>({
    text: `
      select ${boundedText(nameSql('holder.pid', 'holder', `concat_ws(', ', nullif(holder.application_name, ''), holder.state)`))} as "holder",
             holder.xact_start as "holderSince", array_agg(distinct locked.name order by locked.name) as "tables"
      from unnest(array['JobWork', 'JobClaim', 'JobRun']) locked(name)
      join pg_locks lock on lock.relation = format('%I', locked.name)::regclass and lock.granted
        and lock.database = (select oid from pg_database where datname = current_database())
        and lock.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      join pg_stat_activity holder on holder.pid = lock.pid and holder.application_name not like 'roundsman %'
        and holder.xact_start < clock_timestamp() - interval '${MIN_WAIT}'
      group by holder.pid, holder.application_name, holder.state, holder.xact_start order by holder.xact_start`,
  })
}

/** A session that waits now for a lock of another, and may be that of a run under way. */
export interface RunWait extends Omit<LockWait, 'waiters'> {
  /** Whether its name shows that it belongs to the process of the run's worker. Otherwise its owner is unknown. */
  isOfWorker: boolean
}

const MAX_WAITS = 5

/**
 * Lists possible lock waits of a run under way, those of its worker's sessions first. These have a name that begins with
 * `roundsman`, host and process, which the engine uses and a host can use. The owner of any other name is unknown.
 */
export async function listRunWaits(reader: JobsReader, workerId: string): Promise<RunWait[]> {
  const name = `roundsman ${workerId.split(':').slice(0, -1).join(':')}`
  return await reader.rows<RunWait>({
    text: `${heldSql('1 second')}
      select ${boundedText('"waiter"')} as "waiter", "since", ${boundedText('"holder"')} as "holder", "holderSince", coalesce("isOfWorker", false) as "isOfWorker"
      from (
        select ${nameSql('held.pid', 'held', 'held.application_name')} as "waiter", held."since", ${HOLDER} as "holder",
               holder.xact_start as "holderSince", held.application_name ~ ('^' || $1::text || '(:| |$)') as "isOfWorker"
        from held left join pg_stat_activity holder on holder.pid = held."holderPid"
        where held.application_name is null or not starts_with(held.application_name, 'roundsman ')
          or held.application_name ~ ('^' || $1::text || '(:| |$)')
      ) found
      order by found."isOfWorker" desc nulls last, "since" limit ${MAX_WAITS}`,
    values: [name.replaceAll(/[^\w ]/g, '\\$&')],
  })
}
