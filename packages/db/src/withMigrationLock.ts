import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { withConnection } from './withConnection.ts'

// Any constant will do; it only has to be the same in every process that migrates.
const MIGRATION_LOCK = 7_266_437_001

/** By which Prisma's engine keeps others out, `prisma migrate deploy` too. It has no end, but that of its session. */
export const ENGINE_LOCK = 72_707_369

export const MIGRATION_CONNECTION = {
  applicationName: 'roundsman migrate',
  connectTimeoutMs: 10_000,
} as const

const ASK_EVERY_MS = 100

/**
 * Does work while nobody else migrates this database.
 *
 * Its locks are those of a transaction: behind a transaction pooler, one of a session would stay with the pooler's
 * connection, and the next to migrate would wait for ever. Who waits for them asks again and again: a
 * statement that waits holds a snapshot, and `create index concurrently` would wait for that.
 */
export async function withMigrationLock<Result>(
  url: string,
  work: () => Promise<Result>,
): Promise<Result> {
  return await withConnection({ url, ...MIGRATION_CONNECTION }, async (connection) => {
    while (!(await takeLocks(connection))) await delay(ASK_EVERY_MS)
    return await work()
  })
}

/** In a transaction that stays open if they are ours; those who wait leave their connections to others. */
async function takeLocks(client: pg.Client): Promise<boolean> {
  await client.query('begin isolation level read committed')
  const { rows } = await client.query<{ areOurs: boolean }>(
    `select pg_try_advisory_xact_lock($1) and pg_try_advisory_xact_lock($2) as "areOurs"`,
    [MIGRATION_LOCK, ENGINE_LOCK],
  )
  const areOurs = rows[0]?.areOurs === true
  await client.query(areOurs ? KEEP_OPEN_SQL : 'rollback')
  return areOurs
}

/** A migration may take longer than a server lets a transaction be idle, or be. Not every version has both. */
const KEEP_OPEN_SQL = `
  select set_config(name, '0', true) from pg_settings
  where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')`
