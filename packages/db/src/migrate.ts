import { join } from 'node:path'
import pg from 'pg'
import { readMigrationDirectories } from './readMigrationDirectories.ts'

const MIGRATIONS_DIR = join(import.meta.dirname, '../../../prisma/migrations')

// Any constant will do; it only has to be the same in every process that migrates.
const MIGRATION_LOCK = 7_266_437_001

/**
 * Applies the pending migrations and returns their names. Of several starters one migrates, the others
 * wait for it and find nothing left to do.
 */
export async function migrate(url: string): Promise<string[]> {
  const lock = new pg.Client({
    connectionString: url,
    application_name: 'roundsman migrate',
    connectionTimeoutMillis: 10_000,
  })
  // A connection that breaks fails the query in flight; without a listener it would end the process too.
  lock.on('error', () => undefined)
  await lock.connect()
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await prepareHistory(lock)
    // Most processes find nothing to migrate, and need no engine in their memory for that.
    const { withSchemaEngine } = await import('./schemaEngine.ts')
    return await withSchemaEngine(url, async (engine) => {
      const { appliedMigrationNames } = await engine.applyMigrations({
        migrationsList: await readMigrations(),
        filters: { externalTables: [], externalEnums: [] },
      })
      return appliedMigrationNames
    })
  } finally {
    await lock.end()
  }
}

/**
 * Creates the engine's history table where it is missing: without one the engine refuses a database that
 * is not empty, such as one to which a host has published the schema already. The migrations themselves
 * tolerate what is there.
 *
 * Whoever holds the lock is the only one migrating, so a migration that has begun and not ended belongs
 * to a process that died or to one that failed. Its statements were rolled back with it; marked so, the
 * engine applies it again instead of refusing to go on.
 */
async function prepareHistory(lock: pg.Client): Promise<void> {
  await lock.query(`
    create table if not exists _prisma_migrations (
      id varchar(36) primary key not null,
      checksum varchar(64) not null,
      finished_at timestamptz,
      migration_name varchar(255) not null,
      logs text,
      rolled_back_at timestamptz,
      started_at timestamptz not null default now(),
      applied_steps_count integer not null default 0
    )`)
  await lock.query(
    `update _prisma_migrations set rolled_back_at = now() where finished_at is null and rolled_back_at is null`,
  )
}

async function readMigrations() {
  return {
    baseDir: MIGRATIONS_DIR,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: await readMigrationDirectories(MIGRATIONS_DIR),
  }
}
