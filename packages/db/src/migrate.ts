import { MIGRATIONS_DIR, readMigrationDirectories } from './readMigrationDirectories.ts'
import { withConnection } from './withConnection.ts'
import { MIGRATION_CONNECTION, withMigrationLock } from './withMigrationLock.ts'

/**
 * Applies the pending migrations and returns their names. Of several starters one migrates, the others
 * wait for it and find nothing left to do.
 */
export async function migrate(url: string): Promise<string[]> {
  return await withMigrationLock(url, async () => {
    await prepareHistory(url)
    // Most processes find nothing to migrate, and need no engine in their memory for that.
    const { withSchemaEngine } = await import('./withSchemaEngine.ts')
    return await withSchemaEngine(url, async (engine) => {
      const { appliedMigrationNames } = await engine.applyMigrations({
        migrationsList: await readMigrations(),
        filters: { externalTables: [], externalEnums: [] },
      })
      return appliedMigrationNames
    })
  })
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
