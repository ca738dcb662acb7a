import { refuseArguments } from './refuseArguments.ts'

const USAGE = `Usage: pnpm db:seed

Migrates the database and, if it has no users yet, adds demo accounts and data, with
demo jobs and a week of their runs (DEMO_JOBS=false leaves the jobs out; pnpm demo:remove
removes them again).
It refuses in production, and needs DEMO_DATA=true if HOST can be reached from other machines.

Exit code: 0 success, 1 failed or refused, 2 usage`

process.exit(refuseArguments(USAGE) ?? (await main()))

async function main(): Promise<number> {
  // Everybody knows the demo accounts' password.
  const { NODE_ENV, REPLIT_DEPLOYMENT, HOST } = process.env
  if (NODE_ENV === 'production' || REPLIT_DEPLOYMENT === '1') {
    const variable = NODE_ENV === 'production' ? 'NODE_ENV=production' : 'REPLIT_DEPLOYMENT=1'
    process.stderr.write(
      `Demo accounts are never made in production (${variable}). Unset it where this is not production.\n`,
    )
    return 1
  }
  // Imported only now: a refusal need not wait for this code to load.
  const { mayAddDemoData, mayAddDemoJobs } = await import('./seed/mayAddDemoData.ts')
  if (!mayAddDemoData(process.env)) {
    process.stderr.write(
      `HOST: ${HOST} is reached from other machines, and everybody knows the password of the demo accounts. ` +
        'Set DEMO_DATA=true where you want them all the same.\n',
    )
    return 1
  }
  const { runWithDatabase } = await import('./runWithDatabase.ts')
  const { migrateDatabase } = await import('./migrate/migrateDatabase.ts')
  const { DEMO_PASSWORD, seedDemoData } = await import('./seed/seedDemoData.ts')
  return runWithDatabase(async ({ url, env }) => {
    await migrateDatabase(url, env)
    const { isNew, demoUsers } = await seedDemoData(url, {
      withJobs: mayAddDemoJobs(process.env),
    })
    if (!isNew) return 'There are users already: no demo data added.'
    return `Demo data added; log in as ${demoUsers.map(({ email }) => email).join(', ')}, password ${DEMO_PASSWORD}.`
  })
}
