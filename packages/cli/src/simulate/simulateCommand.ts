import { cronProblem, isScheduled, type Job, type ScheduledJob } from '@roundsman/engine'
import { standardLayout, wrap } from '../command/layout.ts'
import { parseDate } from '../command/parseInstant.ts'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { look, type ProductSource } from '../command/product.ts'
import { unknownJob } from '../command/unknownJob.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { formatSimulation } from './formatSimulation.ts'
import { readDurations } from './readDurations.ts'
import { simulate } from './simulate.ts'
import type { TimeRange } from './simulateJob.ts'

const MAX_ROWS = 100_000
/** The cron parser finds no tick after that year, in any zone. */
const LAST_LISTED = new Date('2999-12-31T00:00:00Z')

const usage = (call: string) => `Usage: ${call} --from DATE --to DATE [--outage FROM/TO]
                            [--job NAME]... [--time-zone ZONE] [--limit N] [--json]

Lists every tick of the schedules in a range of time and its outcome, as the scheduler's own code decides it: clock
changes, jobs that run at the same time, and what each policy would do after an outage. It changes nothing.

  --from DATE, --to DATE   ticks from the first date on and before the second: 2026-10-25, 2026-10-25T02:30,
                           2026-10-25T02:30+02:00
  --outage FROM/TO         a part of the range in which no worker runs
  --job NAME               only this job; may be given several times. Default: all that have a schedule
  --time-zone ZONE         the zone of dates without an offset. Default: UTC
  --limit N                rows to show, 0 to 100000; default 100
  --json                   print one JSON object, with a row for each tick

Three or more ticks of a job in a row with the same outcome are one row, which says how many they are.

A run is assumed to take as long as 95 % of the latest runs at most did, if the database has at least 20 of them; else
as long as its time-out.

Exit code: 0 success, 1 the environment needs attention, 2 usage`

export function createSimulateCommand(source: ProductSource): Command {
  return {
    usage: usage(source.call),
    run: (args, terminal) => simulateTicks(args, terminal, source),
  }
}

async function simulateTicks(
  args: string[],
  terminal: Terminal,
  source: ProductSource,
): Promise<number> {
  const values = parseOptions(args, {
    from: { type: 'string' },
    to: { type: 'string' },
    outage: { type: 'string' },
    job: { type: 'string', multiple: true },
    'time-zone': { type: 'string' },
    limit: { type: 'string' },
    json: { type: 'boolean' },
  })
  const timeZone = readTimeZone(values['time-zone'])
  const range = readRange(values, timeZone)
  const outage = values.outage === undefined ? null : readOutage(values.outage, range, timeZone)
  const limit = parseWholeNumber('--limit', values.limit, { min: 0, max: MAX_ROWS, otherwise: 100 })
  const product = await source.open(terminal)
  const jobs = selectJobs(product.jobs, values.job)
  const names = jobs.map(({ name }) => name)
  const { found, reason } = await look(product, (reader) => readDurations(reader, names))
  const result = await simulate({
    ...range,
    jobs,
    outage,
    durations: found ?? [],
    // The text for people folds equal rows first, and then counts.
    limit: values.json ? limit : MAX_ROWS,
  })
  if (values.json) {
    const database = { isReached: found !== null, problem: reason }
    return print(terminal, { ...result, timeZone, database })
  }
  const layout = standardLayout(terminal.stdout)
  const notes = told(
    result.jobs.some(({ measuredRuns }) => measuredRuns === null) &&
      'Where too few runs were measured, each is taken to last as long as its time-out allows.',
    reason !== null && `How long runs take was not looked up: ${reason}.`,
    `Dates without an offset are read in ${timeZone}${values['time-zone'] === undefined ? '; --time-zone names another' : ''}.`,
  )
  return print(terminal, [
    formatSimulation(result, layout, limit),
    '',
    ...notes.map((note) => layout.paint('dim', wrap(note, layout.width))),
  ])
}

function readTimeZone(text = 'UTC'): string {
  // An expression that is valid in every zone.
  const problem = cronProblem('* * * * *', text)
  if (problem !== null) throw new UsageError(`--time-zone: ${problem}`)
  return text
}

function readRange({ from, to }: { from?: string; to?: string }, timeZone: string): TimeRange {
  if (from === undefined || to === undefined) {
    const missing = [from === undefined ? '--from' : [], to === undefined ? '--to' : []].flat()
    throw new UsageError(`${missing.join(' and ')}: say when the range begins and when it ends`)
  }
  const range = {
    from: parseDate('--from', from, timeZone),
    to: parseDate('--to', to, timeZone),
  }
  if (range.to > LAST_LISTED)
    throw new UsageError(`--to: ticks are listed up to ${LAST_LISTED.toISOString()}`)
  if (range.from < range.to) return range
  throw new UsageError(
    `--from (${range.from.toISOString()}) has to be before --to (${range.to.toISOString()})`,
  )
}

function readOutage(text: string, { from, to }: TimeRange, timeZone: string): TimeRange {
  const [start, end, ...rest] = text.split('/')
  if (!start || !end || rest.length > 0) {
    throw new UsageError(`--outage is FROM/TO, two dates with a slash between them, not "${text}"`)
  }
  const outage = {
    from: parseDate('--outage', start, timeZone),
    to: parseDate('--outage', end, timeZone),
  }
  if (outage.from >= outage.to) {
    throw new UsageError(
      `--outage begins (${outage.from.toISOString()}) when it is over (${outage.to.toISOString()})`,
    )
  }
  if (outage.from >= from && outage.to <= to) return outage
  throw new UsageError(
    `--outage (${outage.from.toISOString()} to ${outage.to.toISOString()}) has to lie within the range (${from.toISOString()} to ${to.toISOString()})`,
  )
}

function selectJobs(jobs: readonly Job[], names: readonly string[] | undefined): ScheduledJob[] {
  const scheduled = jobs.filter(isScheduled)
  if (names === undefined) return scheduled
  const known = scheduled.map(({ name }) => name).join(', ')
  for (const name of names) {
    if (scheduled.some((job) => job.name === name)) continue
    const isJob = jobs.some((job) => job.name === name)
    if (isJob) throw new UsageError(`--job: ${name} has no schedule. These have one: ${known}`)
    throw unknownJob(
      name,
      scheduled.map((job) => job.name),
      { option: '--job', known: `These have a schedule: ${known}` },
    )
  }
  return scheduled.filter(({ name }) => names.includes(name))
}
