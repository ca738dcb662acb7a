import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** This product's migrations. */
export const MIGRATIONS_DIR = join(import.meta.dirname, '../../../prisma/migrations')

/** Reads the migrations in a folder of Prisma's form, oldest first, as its schema engine takes them. */
export async function readMigrationDirectories(folder: string) {
  const names = await listMigrationNames(folder)
  return await Promise.all(
    names.map(async (path) => ({
      path,
      migrationFile: {
        path: 'migration.sql',
        content: {
          tag: 'ok' as const,
          value: await readFile(join(folder, path, 'migration.sql'), 'utf8'),
        },
      },
    })),
  )
}

/** Oldest first. */
export async function listMigrationNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).toSorted()
}
