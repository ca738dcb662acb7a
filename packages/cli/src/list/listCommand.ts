import { jobs as catalogue } from '@roundsman/jobs'
import type { Job } from '@roundsman/engine'
import { standardLayout, wrap } from '../command/layout.ts'
import { lookIntoDatabase } from '../command/lookIntoDatabase.ts'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import type { Command, Terminal } from '../command/runCommand.ts'
import { readWorkerEnvironment } from '../env.ts'
import { describeJobs } from './describeJobs.ts'
import { formatJobs } from './formatJobs.ts'
import { readScheduleStates } from './readScheduleStates.ts'

const USAGE = `Usage: pnpm worker:list [--next N] [--json]

Lists all jobs with their schedules, next ticks and policies, as this environment adjusts them. Which schedules
are paused is known to the database; without one the list says so.

  --next N   how many ticks of each schedule, 0 to 100; default 3
  --json     print one JSON object

Exit code: 0 success, 1 the environment needs attention, 2 usage`

export const listCommand: Command = { usage: USAGE, run: list }

async function list(args: string[], terminal: Terminal): Promise<number> {
  const values = parseOptions(args, { next: { type: 'string' }, json: { type: 'boolean' } })
  const ticks = parseWholeNumber('--next', values.next, { min: 0, max: 100, otherwise: 3 })
  const env = readWorkerEnvironment(terminal.variables)
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
    terminal.stdout.write(`${JSON.stringify({ jobs: listed, isEnabled, database })}\n`)
    return 0
  }
  const layout = standardLayout(terminal.stdout)
  const notes = [
    ...(isEnabled ? [] : ['JOBS_ENABLED=false: no worker schedules or executes any of them.']),
    ...(reason === null ? [] : [`Whether a schedule is paused is not known: ${reason}.`]),
  ]
  terminal.stdout.write(`${formatJobs(listed, layout)}\n`)
  for (const note of notes) {
    terminal.stdout.write(`\n${layout.paint('yellow', wrap(note, layout.width))}\n`)
  }
  return 0
}
