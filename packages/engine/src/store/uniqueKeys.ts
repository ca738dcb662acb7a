import { setTimeout as pause } from 'node:timers/promises'
import type { Connection, Database } from './database.ts'
import { hasSqlState, UNIQUE_VIOLATION } from './sqlState.ts'
import { changeTables } from './takeLocks.ts'

/** The names of its children, one for each partition, begin with this. */
export const UNIQUE_KEYS_INDEX = 'roundsman_unique_keys'

/** Work that holds its unique key: it waits, runs, or is to be retried. */
export const HOLDS_KEY = `singleton_key is not null and state <= 'active'`
const COLUMNS = `(name, singleton_key) where ${HOLDS_KEY}`

export const IS_WHOLE_SQL = `
  select from pg_index where indexrelid = to_regclass('pgboss.${UNIQUE_KEYS_INDEX}') and indisvalid`

/** Builds the index at once, without `concurrently`: for tables that pg-boss has just made. */
export const UNIQUE_KEYS_SQL = `
  create unique index if not exists ${UNIQUE_KEYS_INDEX} on only pgboss.job ${COLUMNS};
  create unique index if not exists ${UNIQUE_KEYS_INDEX}_job_common on pgboss.job_common ${COLUMNS};
  alter index pgboss.${UNIQUE_KEYS_INDEX} attach partition pgboss.${UNIQUE_KEYS_INDEX}_job_common`

/** Settles keys that several pieces of work hold, enqueued or given back past a holder: the oldest keeps the key. */
export const SETTLE_DUPLICATES_SQL = `
  update pgboss.job job set singleton_key = null
  from (
    select name, id, row_number() over (partition by name, singleton_key order by created_on, id) as rank
    from pgboss.job where ${HOLDS_KEY}
  ) as same
  where same.rank > 1 and job.name = same.name and job.id = same.id and job.state <= 'active'`

interface Partition {
  [column: string]: unknown
  /** Both quoted where they need it. */
  table: string
  index: string
  isBuilt: boolean | null
  isAttached: boolean
}

const PARTITIONS_SQL = `
  select part.oid::regclass::text as "table",
         quote_ident('${UNIQUE_KEYS_INDEX}_' || left(part.relname, 40)) as "index",
         built.indisvalid as "isBuilt",
         exists (select from pg_inherits where inhrelid = built.indexrelid) as "isAttached"
  from pg_inherits child
    join pg_class part on part.oid = child.inhrelid
    left join pg_index built on built.indexrelid = to_regclass('pgboss.' || quote_ident('${UNIQUE_KEYS_INDEX}_' || left(part.relname, 40)))
  where child.inhparent = 'pgboss.job'::regclass`

/** Clients of the version before may add duplicates while the index is built. */
const MAX_TRIES = 10
const RETRY_MS = 200
/** An arbitrary number: of two processes that install at once, one waits. */
const INSTALL_LOCK = 7_310_250

/**
 * Builds the index by which PostgreSQL refuses a second piece of work of a job with the same key. It builds it concurrently,
 * however large the table is: the build waits for open transactions, and none waits for the build.
 */
export async function installUniqueKeys(database: Database): Promise<void> {
  if (await areKeysUnique(database)) return
  await database.transaction(async (tx) => {
    await tx.query('set local idle_in_transaction_session_timeout = 0')
    // Ask again and again: a concurrent build would wait for a statement that waits for its lock.
    while (!(await isLocked(tx))) await pause(RETRY_MS)
    if (!(await areKeysUnique(database))) await build(database)
  })
}

async function areKeysUnique(database: Connection): Promise<boolean> {
  return (await database.query(IS_WHOLE_SQL)).rows.length > 0
}

async function isLocked(tx: Connection): Promise<boolean> {
  const { rows } = await tx.query<{ isLocked: boolean }>(
    `select pg_try_advisory_xact_lock(${INSTALL_LOCK}) as "isLocked"`,
  )
  return rows[0]?.isLocked ?? false
}

/** Builds the index partition by partition. A build that was interrupted goes on where it stopped. */
async function build(database: Database): Promise<void> {
  await changeTables(
    database,
    `create unique index if not exists ${UNIQUE_KEYS_INDEX} on only pgboss.job ${COLUMNS}`,
  )
  const { rows: partitions } = await database.query<Partition>(PARTITIONS_SQL)
  for (const { table, index, isBuilt, isAttached } of partitions) {
    if (isAttached) continue
    // An invalid index is left over from an interrupted build.
    if (isBuilt === false) await database.query(`drop index concurrently pgboss.${index}`)
    if (isBuilt !== true) await buildOf(database, table, index)
    await changeTables(
      database,
      `alter index pgboss.${UNIQUE_KEYS_INDEX} attach partition pgboss.${index}`,
    )
  }
}

/**
 * Builds the index of one partition. Duplicate keys fail the build, and others may enqueue some while it goes on: it
 * settles them and tries again.
 */
async function buildOf(database: Database, table: string, index: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    await changeTables(database, SETTLE_DUPLICATES_SQL)
    try {
      await database.query(`create unique index concurrently ${index} on ${table} ${COLUMNS}`)
      return
    } catch (error) {
      await database.query(`drop index concurrently if exists pgboss.${index}`)
      if (!hasSqlState(error, UNIQUE_VIOLATION) || tries === MAX_TRIES) throw error
    }
  }
}

/** Whether the statement failed because other work took the key meanwhile. */
export function isKeyTaken(error: unknown): boolean {
  return (
    hasSqlState(error, UNIQUE_VIOLATION) && error.constraint?.startsWith(UNIQUE_KEYS_INDEX) === true
  )
}
