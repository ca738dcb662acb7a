import { createProductCommands } from 'roundsman/commands'

const CHECK = `Finds problems of jobs before they run: schedules and their zones, overrides in the environment, times that
daylight saving skips or repeats, policies that do not go together, destructive jobs without a guard, and
clean-ups without an index, which it asks the planner of the database about (DATABASE_URL; else the embedded
one, which it creates if there is none). Each finding names the job, the problem and the remedy.`

/**
 * The commands of the CLI, with this product. What they need is imported when they run, because `defineJob` refuses a
 * wrong definition at its import, and `check` has to report that.
 */
export const commands = createProductCommands({
  call: (command) => `pnpm worker:${command}`,
  open: async (terminal) => (await import('./openProduct.ts')).openProduct(terminal),
  check: {
    about: CHECK,
    check: async (options, { variables }) =>
      (await import('../check/checkProject.ts')).checkProject({ ...options, variables }),
    catalogue: () => new URL(import.meta.resolve('@roundsman/jobs')),
  },
})
