import { createCheckCommand } from 'roundsman/commands'

const ABOUT = `Finds what is wrong with jobs before any runs: schedules and their zones, overrides in the environment, times that
daylight saving takes away or repeats, policies that do not go together, destructive jobs without a guard, and
clean-ups that no index serves, which the planner of the database is asked for (DATABASE_URL; else the embedded
one, which is made where there is none). Each finding names the job, what is wrong, and the remedy.`

export const checkCommand = createCheckCommand({
  call: 'pnpm worker:check',
  about: ABOUT,
  async check(options, terminal) {
    // Imported here, because defineJob refuses a wrong definition at its import, and the command has to report that.
    const [{ checkProject }, { environmentVariables }] = await Promise.all([
      import('./checkProject.ts'),
      import('../env.ts'),
    ])
    return await checkProject({
      ...options,
      variables: terminal.variables ?? environmentVariables(),
    })
  },
  catalogue: () => new URL(import.meta.resolve('@roundsman/jobs')),
})
