import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

// Any constant will do; it only has to be the same in every process that migrates.
const MIGRATION_LOCK = 7_266_437_001

/** By which Prisma's engine keeps others out, `prisma migrate deploy` too. It has no end, but that of its session. */
export const ENGINE_LOCK = 72_707_369

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
  const client = new pg.Client({
    connectionString: url,
    application_name: 'roundsman migrate',
    connectionTimeoutMillis: 10_000,
  })
  // A connection that breaks fails the query in flight; without a listener it would end the process too.
  client.on('error', () => undefined)
  await client.connect()
  try {
    while (!(await takeLocks(client))) await delay(ASK_EVERY_MS)
    return await work()
  } finally {
    await client.end()
  }
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
