import { checkMigrations } from '@roundsman/engine/internal'
import { migrate, type MigrateOptions } from '@roundsman/engine/migrate'

/** Migrates, and says what it did. Without a line break at the end. */
export async function migrateInWords(options: MigrateOptions): Promise<string> {
  const problem = await checkMigrations(options)
  await migrate(options)
  if (problem === null) return 'The tables are up to date.'
  return `The tables are made, in the schema ${problem.schema}.`
}
