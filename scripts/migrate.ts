import { refuseArguments } from './refuseArguments.ts'
import { runWithDatabase } from './runWithDatabase.ts'
import { migrateDatabase } from './migrate/migrateDatabase.ts'

const USAGE = `Usage: pnpm db:migrate

Brings the tables of this version and the queue's up to date, in the database of
DATABASE_URL; without it in the embedded one, which is made where there is none.

Exit code: 0 up to date, 1 failed, 2 usage`

process.exit(refuseArguments(USAGE) ?? (await main()))

async function main(): Promise<number> {
  return await runWithDatabase(async ({ url, jobs }) => {
    const applied = await migrateDatabase({ url, jobs })
    if (applied.length === 0) return 'The database is up to date.'
    return `Applied to the database:\n${applied.map((name) => `  ${name}`).join('\n')}`
  })
}
