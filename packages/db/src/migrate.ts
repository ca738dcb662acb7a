import { tellWaits } from '@roundsman/engine/internal'
import { MIGRATIONS_DIR, readMigrationDirectories } from './readMigrationDirectories.ts'
import { withConnection } from './withConnection.ts'
import { MIGRATION_CONNECTION, withMigrationLock } from './withMigrationLock.ts'

/**
 * Applies the pending migrations and returns their names. When several processes start, one migrates; the others wait and
 * find nothing left to do.
 */
export async function migrate(url: string): Promise<string[]> {
  return await withMigrationLock(url, async () => {
    await prepareHistory(url)
    return await tellingWaits(url, () => applyMigrations(url))
  })
}

async function applyMigrations(url: string): Promise<string[]> {
  // Most processes find nothing to migrate, and need not load the schema engine for that.
  const { withSchemaEngine } = await import('./withSchemaEngine.ts')
  return await withSchemaEngine(url, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: await readMigrations(),
      filters: { externalTables: [], externalEnums: [] },
    })
    return appliedMigrationNames
  })
}

/** Says on standard error for whom the migration waits. */
async function tellingWaits<Value>(url: string, work: () => Promise<Value>): Promise<Value> {
  const looking = { url, applicationName: 'roundsman migrate looks' }
  return await withConnection(looking, async (connection) => {
    const log = {
      warn: (...[fields, text]: unknown[]) =>
        void process.stderr.write(`${String(text)}: ${JSON.stringify(fields)}\n`),
    }
    const { applicationName: application } = MIGRATION_CONNECTION
    const stopTelling = tellWaits((sql) => connection.query(sql), { application, log })
    try {
      return await work()
    } finally {
      await stopTelling()
    }
  })
}

/**
 * Creates Prisma's history table where it is missing: without one, the engine refuses a database that is not empty, such as
 * one to which a host has published a schema diff. Our migrations tolerate what such a diff made.
 *
 * It also marks migrations that began and did not end as rolled back. Only the holder of the lock migrates, so theirs died
 * or failed, and PostgreSQL rolled their statements back; unmarked, the engine would refuse to go on.
 */
async function prepareHistory(url: string): Promise<void> {
  await withConnection({ url, ...MIGRATION_CONNECTION }, (connection) =>
    connection.query(PREPARE_HISTORY_SQL),
  )
}

const PREPARE_HISTORY_SQL = `
  create table if not exists _prisma_migrations (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
  );
  update _prisma_migrations set rolled_back_at = now()
  where finished_at is null and rolled_back_at is null`

async function readMigrations() {
  return {
    baseDir: MIGRATIONS_DIR,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: await readMigrationDirectories(MIGRATIONS_DIR),
  }
}
