import { runWithDatabase } from './runWithDatabase.ts'
import { migrateDatabase } from './migrate/migrateDatabase.ts'

process.exit(
  await runWithDatabase(async ({ url, jobs }) => {
    const applied = await migrateDatabase({ url, jobs })
    if (applied.length === 0) return 'The database is up to date.'
    return `Applied to the database:\n${applied.map((name) => `  ${name}`).join('\n')}`
  }),
)
