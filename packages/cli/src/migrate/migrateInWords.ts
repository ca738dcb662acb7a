import { checkMigrations } from '@roundsman/engine/internal'
import { migrate, type MigrateOptions } from '@roundsman/engine/migrate'

/** Migrates, and says what it did, by the names of its steps where there were tables before. Without a line break at the end. */
export async function migrateInWords(options: MigrateOptions): Promise<string> {
  const { problem } = await checkMigrations(options)
  const done = await migrate(options)
  if (done.length === 0) return 'The tables are up to date.'
  if (problem?.kind === 'missing') return `The tables are made, in the schema ${problem.schema}.`
  return ['Done in the database:', ...done.map((name) => `  ${name}`)].join('\n')
}
