import { createCheckCommand } from 'roundsman/commands'

const ABOUT = `Finds problems of jobs before they run: schedules and their zones, overrides in the environment, times that
daylight saving skips or repeats, policies that do not go together, destructive jobs without a guard, and
clean-ups without an index, which it asks the planner of the database about (DATABASE_URL; else the embedded
one, which it creates if there is none). Each finding names the job, the problem and the remedy.`

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
