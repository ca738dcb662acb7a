import { importPgBoss, type LeftBehind, type PgBossImport } from '@roundsman/engine/internal'
import { onOneLine, standardLayout, wrap } from '../command/layout.ts'
import type { ProductSource } from '../command/product.ts'
import { parseCommandLine } from '../command/parseOptions.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { unknownJob } from '../command/unknownJob.ts'
import { told } from '../command/told.ts'

const usage = (
  call: string,
) => `Usage: ${call} pg-boss [--queue NAME[=JOB]]… [--all] [--dead-letters] [--schema NAME] [--dry-run] [--json]

Imports the waiting work of your pg-boss 12, in the same database. Work keeps its id, its order, its time, its priority,
its retries and its unique key. It leaves pg-boss's tables in the same transaction. Stop the workers of these queues
first. Run the import again for work that was enqueued later. It prints the work that stays, and what to do about it.

  --queue NAME    import only this queue, with any policy and groups; NAME=JOB for a job of another name. Default:
                  all queues that have the name of a job
  --all           import all queues, also those without a job of their name
  --dead-letters  import failed work as dead letters
  --schema NAME   the schema of pg-boss's tables. Default: pgboss
  --dry-run       change nothing; print the changes
  --json          print one JSON object

Exit code: 0 done, or nothing to do, 1 refused, 2 usage`

export function createImportCommand(source: ProductSource<'jobs' | 'within'>): Command {
  return { usage: usage(source.call), run: (args, terminal) => runImport(args, terminal, source) }
}

async function runImport(
  args: string[],
  terminal: Terminal,
  source: ProductSource<'jobs' | 'within'>,
): Promise<number> {
  const { queues, json, 'dry-run': dryRun = false, ...options } = readArguments(args)
  const product = await source.open(terminal)
  const jobs = product.jobs.map(({ name }) => name)
  for (const [queue, job] of queues) {
    if (queue === job || jobs.includes(job)) continue
    const known = `These are known: ${jobs.join(', ')}`
    throw unknownJob(job, jobs, { option: '--queue', known })
  }
  const result = await product.within((place) =>
    importPgBoss({
      ...place,
      from: options.schema,
      jobs,
      queues: queues.length > 0 ? Object.fromEntries(queues) : undefined,
      all: options.all,
      deadLetters: options['dead-letters'],
      dryRun,
    }),
  )
  const { width } = standardLayout(terminal.stdout)
  const text = json
    ? JSON.stringify({ isDryRun: dryRun, ...result })
    : describe(result, { dryRun, jobs, width })
  terminal.stdout.write(`${text}\n`)
  return 0
}

function readArguments(args: string[]) {
  const { values, positionals } = parseCommandLine(args, {
    queue: { type: 'string', multiple: true },
    all: { type: 'boolean' },
    'dead-letters': { type: 'boolean' },
    schema: { type: 'string' },
    'dry-run': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const [from, ...rest] = positionals
  if (from !== 'pg-boss') throw new UsageError('Say from what: pg-boss')
  if (rest.length > 0)
    throw new UsageError(`"${rest.join(' ')}" is too much: queues are named by --queue`)
  const { queue: named = [], ...others } = values
  if (others.all && named.length > 0) throw new UsageError('Give only one of --all and --queue')
  const queues = named.map((text): [string, string] => {
    const [queue = '', job = queue] = text.split(/=(.*)/s)
    return [queue, job]
  })
  return { ...others, queues }
}

interface View {
  dryRun: boolean
  jobs: readonly string[]
  width: number
}

function describe(result: PgBossImport, view: View): string {
  const { taken, left, workers, schedules, subscriptions } = result
  const lines = taken.map(({ queue, job, work, delayed, withoutKey, deadLetters }) => {
    const parts = told(
      delayed > 0 && `${count(delayed)} for later`,
      withoutKey > 0 && `${count(withoutKey)} without their unique key, which older work has`,
    )
    const more = parts.length > 0 ? ` (${parts.join(', ')})` : ''
    const letters = deadLetters > 0 ? `, dead letters: ${count(deadLetters)}` : ''
    return `${queue === job ? job : `${queue} as ${job}`}: ${count(work)}${more}${letters}`
  })
  const kept = [
    ...left.map((one) => describeLeft(one, view)),
    ...schedules.map(
      ({ name, key, cron, timeZone }) =>
        `${name}: the schedule ${key === '' ? '' : `${key} `}"${cron}" in ${timeZone ?? 'UTC'}. Give the job a schedule: { cron, timeZone }.`,
    ),
    ...subscriptions.map(
      ({ event, name }) =>
        `${name}: its subscription to the event ${event}. Enqueue the job where the event is published.`,
    ),
  ]
  const running = workers.map(
    ({ queue, process }) =>
      `${process} works on ${queue}. Stop it: until then an import is refused.`,
  )
  const parts = [
    lines.length === 0
      ? ['There is nothing to take over.']
      : [view.dryRun ? 'Would be taken over:' : 'Taken over:', ...indented(lines, view)],
    kept.length === 0 ? [] : ['Left in pg-boss:', ...indented(kept, view)],
    running.length === 0 ? [] : ['Workers of pg-boss:', ...indented(running, view)],
  ]
  return parts.flat().join('\n')
}

const indented = (lines: readonly string[], { width }: View) =>
  lines.map((line) => `  ${wrap(onOneLine(line), width - 2, 4)}`)

const count = (number: number): string => number.toLocaleString('en')

/** Describes the work that stays in a queue, the reason and the remedy. */
function describeLeft(left: LeftBehind, { jobs }: View): string {
  const { queue, policy, ids, oldest } = left
  const what = `${queue}: ${count(left.count)}`
  const since = `the oldest of ${oldest.toISOString()}`
  const some = ids.length === 0 ? '' : ` (${ids.join(', ')}${left.count > ids.length ? ', …' : ''})`
  switch (left.reason) {
    case 'active':
      return `${what} active, ${since}. If their worker is gone, start pg-boss without workers: once their expireInSeconds is over it gives them back. Then import again.`
    case 'failed':
      return `${what} failed, ${since}. --dead-letters takes those of the queues that are taken over.`
    case 'notChosen':
      return `${what} waiting, ${since}. ${describeChoice(left, jobs)}`
    case 'flow':
      return `${what} in flows. Let pg-boss finish them; in Roundsman, a handler enqueues what comes after it.`
    case 'policy':
      return `${what} under the policy ${policy}. In Roundsman: ${POLICIES[policy] ?? 'concurrency and uniqueKey'}. Then take it by --queue ${queue}.`
    case 'group':
      return `${what} in groups, whose limits are not taken over. If they may run without, take them by --queue ${queue}.`
    case 'unstorable':
      return `${what} with more than 8 MB, 64 levels or a singletonKey of 255 characters${some}. Cancel them, and enqueue them in another form.`
    case 'expired':
      return `${what} kept for longer than retentionSeconds${some}. pg-boss deletes them; enqueue again what you still want.`
    default:
      return left.reason satisfies never
  }
}

const POLICIES: Readonly<Record<string, string>> = {
  short: 'a uniqueKey, which holds until the work has ended',
  singleton: 'concurrency: 1 in the definition, which each worker keeps by itself',
  stately: 'a uniqueKey, which holds until the work has ended',
  exclusive: 'a uniqueKey, which holds until the work has ended',
  key_strict_fifo: 'concurrency: 1 in the definition; what fails holds nothing up',
}

function describeChoice({ queue, deadLettersOf }: LeftBehind, jobs: readonly string[]): string {
  if (jobs.includes(queue)) return `Take it by --queue ${queue}.`
  if (deadLettersOf.length > 0)
    return `It has copies of what failed in ${deadLettersOf.join(', ')}: --dead-letters takes the originals.`
  const plain = (name: string) => name.replaceAll(/[^\p{L}\p{N}]/gu, '').toLowerCase()
  const meant = jobs.find((job) => plain(job) === plain(queue)) ?? 'JOB'
  return `No job has its name: --queue ${queue}=${meant} takes it for another.`
}
