import { listMigrationNames, MIGRATIONS_DIR } from './readMigrationDirectories.ts'
import { withConnection } from './withConnection.ts'

const UNDEFINED_TABLE = '42P01'

/** The names of the migrations that this code needs and the database lacks. */
export async function missingMigrations(url: string): Promise<string[]> {
  const [wanted, applied] = await Promise.all([
    listMigrationNames(MIGRATIONS_DIR),
    withConnection({ url, applicationName: 'roundsman migrations' }, async (connection) => {
      try {
        const { rows } = await connection.query<{ migration_name: string }>(
          `select migration_name from _prisma_migrations where finished_at is not null and rolled_back_at is null`,
        )
        return new Set(rows.map((row) => row.migration_name))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === UNDEFINED_TABLE) return new Set<string>()
        throw error
      }
    }),
  ])
  return wanted.filter((name) => !applied.has(name))
}
