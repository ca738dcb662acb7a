import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { withConnection } from './withConnection.ts'

// Any number will do that is the same in every process that migrates.
const MIGRATION_LOCK = 7_266_437_001

/** Prisma's engine takes this lock, in `prisma migrate deploy` too. It is a session's, held until the connection ends. */
export const ENGINE_LOCK = 72_707_369

export const MIGRATION_CONNECTION = {
  applicationName: 'roundsman migrate',
  connectTimeoutMs: 10_000,
} as const

const ASK_EVERY_MS = 100

/**
 * Does `work` while nobody else migrates. The locks are a transaction's, since a pooler would keep a session's for ever. It
 * asks again and again, since a waiting statement holds up `create index concurrently`.
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

/**
 * Keeps the transaction open when it got both locks. Otherwise it rolls back, so that a pooler can lend the connection on.
 */
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

/** A migration may take longer than a server lets a transaction be idle, or last. Not every version has both settings. */
const KEEP_OPEN_SQL = `
  select set_config(name, '0', true) from pg_settings
  where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')`
