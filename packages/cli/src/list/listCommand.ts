import { listSchedules } from '@roundsman/engine/client'
import { readPausedQueues } from '@roundsman/engine/internal'
import { standardLayout, wrap } from '../command/layout.ts'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { look, type ProductSource } from '../command/product.ts'
import type { Command, Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { describeJobs } from './describeJobs.ts'
import { formatJobs } from './formatJobs.ts'

const usage = (call: string) => `Usage: ${call} [--next N] [--json]

Lists all jobs with their schedules, next runs and policies, with the overrides of this environment. It reads from the
database which schedules and queues are paused, and reports if it cannot.

  --next N   next runs to show for each schedule, 0 to 100; default 3
  --json     print one JSON object

Exit code: 0 success, 1 the environment needs attention, 2 usage`

export function createListCommand(source: ProductSource): Command {
  return { usage: usage(source.call), run: (args, terminal) => list(args, terminal, source) }
}

async function list(args: string[], terminal: Terminal, source: ProductSource): Promise<number> {
  const values = parseOptions(args, { next: { type: 'string' }, json: { type: 'boolean' } })
  const ticks = parseWholeNumber('--next', values.next, { min: 0, max: 100, otherwise: 3 })
  const product = await source.open(terminal)
  const { jobs, isEnabled } = product
  const names = jobs.map(({ name }) => name)
  const { found, reason } = await look(product, async (reader) => ({
    states: [...(await listSchedules(reader, names)).values()],
    pausedQueues: await readPausedQueues(reader),
  }))
  const { states, pausedQueues } = found ?? { states: null, pausedQueues: new Map() }
  const listed = describeJobs({ ...product, states, pausedQueues, now: new Date(), ticks })
  if (values.json) {
    const database = { isReached: found !== null, problem: reason }
    return print(terminal, { jobs: listed, isEnabled, database })
  }
  const layout = standardLayout(terminal.stdout)
  const notes = told(
    !isEnabled && 'JOBS_ENABLED=false: no worker schedules or executes any of them.',
    reason !== null && `Whether a schedule or a queue is paused is not known: ${reason}.`,
  )
  return print(terminal, [
    formatJobs(listed, layout),
    ...notes.map((note) => `\n${layout.paint('yellow', wrap(note, layout.width))}`),
  ])
}
