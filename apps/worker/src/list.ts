import { jobs as catalogue } from '@roundsman/jobs'
import type { Job } from '@roundsman/engine'
import { standardLayout, wrap } from './command/layout.ts'
import { lookIntoDatabase } from './command/lookIntoDatabase.ts'
import { parseOptions, parseWholeNumber } from './command/parseOptions.ts'
import { runCommand } from './command/runCommand.ts'
import { readWorkerEnvironment } from './env.ts'
import { describeJobs } from './list/describeJobs.ts'
import { formatJobs } from './list/formatJobs.ts'
import { readScheduleStates } from './list/readScheduleStates.ts'

const USAGE = `Usage: pnpm worker:list [--next N] [--json]

Lists all jobs with their schedules, next ticks and policies, as this environment adjusts them. Which schedules
are paused is known to the database; without one the list says so.

  --next N   how many ticks of each schedule, 0 to 100; default 3
  --json     print one JSON object

Exit code: 0 success, 1 the environment needs attention, 2 usage`

await runCommand(USAGE, list)

async function list(args: string[]): Promise<number> {
  const values = parseOptions(args, { next: { type: 'string' }, json: { type: 'boolean' } })
  const ticks = parseWholeNumber('--next', values.next, { min: 0, max: 100, otherwise: 3 })
  const env = readWorkerEnvironment()
  const jobs: readonly Job[] = env.jobs
  const { found, reason } = await lookIntoDatabase(env, (prisma) =>
    readScheduleStates(
      prisma,
      jobs.map(({ name }) => name),
    ),
  )
  const isEnabled = env.JOBS_ENABLED
  const now = new Date()
  const listed = describeJobs({ jobs, catalogue, states: found, isEnabled, now, ticks })
  if (values.json) {
    const database = { isReached: found !== null, problem: reason }
    process.stdout.write(`${JSON.stringify({ jobs: listed, isEnabled, database })}\n`)
    return 0
  }
  const layout = standardLayout()
  const notes = [
    ...(isEnabled ? [] : ['JOBS_ENABLED=false: no worker schedules or executes any of them.']),
    ...(reason === null ? [] : [`Whether a schedule is paused is not known: ${reason}.`]),
  ]
  process.stdout.write(`${formatJobs(listed, layout)}\n`)
  for (const note of notes) {
    process.stdout.write(`\n${layout.paint('yellow', wrap(note, layout.width))}\n`)
  }
  return 0
}
