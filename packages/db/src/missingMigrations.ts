import pg from 'pg'
import { migrationNames } from './migrate.ts'

/** The names of the migrations that this code needs and the database has not got. */
export async function missingMigrations(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ migration_name: string }>(
      `select migration_name from _prisma_migrations where finished_at is not null and rolled_back_at is null`,
    )
    const applied = new Set(rows.map((row) => row.migration_name))
    return (await migrationNames()).filter((name) => !applied.has(name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === UNDEFINED_TABLE) return await migrationNames()
    throw error
  } finally {
    await client.end()
  }
}

const UNDEFINED_TABLE = '42P01'
