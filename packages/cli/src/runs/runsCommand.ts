import { hideMessages, JOB_TRIGGERS, RUN_OUTCOMES, RUN_STATUSES } from '@roundsman/engine/internal'
import { listJobRuns, type ListedJobRun, type ListJobRunsOptions } from '@roundsman/engine/client'
import { describeDuration } from '../command/describeDuration.ts'
import { onOneLine, wrap, type Layout, type Style } from '../command/layout.ts'
import { parseDate } from '../command/parseInstant.ts'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import type { ProductSource } from '../command/product.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { LIST_OPTIONS, showList, UUID } from './pages.ts'
import { describeError, describeStillDue, showRun } from './showRun.ts'

const usage = (
  call: string,
) => `Usage: ${call} [--job NAME] [--outcome OUTCOME] [--error CODE] [--label TEXT]
                        [--from DATE] [--to DATE] [--limit N] [--after POSITION] [--messages] [--json]
       ${call} show ID [--messages] [--json]

Lists runs, the newest first: start, end, duration, and the error of a failed run. show prints one run, with the origin
of its work and the work that it has enqueued. Of an error it prints code, class and frames: the message may contain
parts of a payload.

  --job NAME               of this job only
  --outcome OUTCOME        how the run ended, by cause: ${RUN_OUTCOMES.join(', ')}
  --status STATUS          the stored status: ${RUN_STATUSES.join(', ')}
  --error CODE             runs that failed with this code
  --label TEXT             runs with this label or, if there are none, with a label that contains it
  --trigger TRIGGER        ${JOB_TRIGGERS.join(', ')}
  --work ID                all attempts at this piece of work
  --key KEY                runs of work with this partition key
  --worker ID              runs of workers with an id that begins with this
  --min-duration-ms N      runs that took this long or longer
  --max-duration-ms N      runs that took this long or shorter
  --from DATE, --to DATE   runs that started from the first date on and before the second; UTC unless they have an offset
  --messages               show the messages of errors too, and with --json causes and log lines
  --limit N                runs to show, 1 to 1000; default 20
  --after POSITION         continue after this position, which the previous page printed
  --json                   print one JSON object

Exit code: 0 success, 1 the environment or the database needs attention, 2 usage`

export function createRunsCommand(source: ProductSource): Command {
  return {
    usage: usage(source.call),
    async run(args, terminal) {
      const [action, ...others] = args
      if (action !== 'show') return await showRuns(args, terminal, source)
      const ids = others.filter((one) => !one.startsWith('--'))
      const options = parseOptions(
        others.filter((one) => one.startsWith('--')),
        { json: LIST_OPTIONS.json, messages: LIST_OPTIONS.messages },
      )
      const [id] = ids
      if (id === undefined || ids.length > 1) throw new UsageError('Which run? Give its id')
      return await showRun(id, options, terminal, source)
    },
  }
}

async function showRuns(
  args: string[],
  terminal: Terminal,
  source: ProductSource,
): Promise<number> {
  const values = parseOptions(args, {
    ...LIST_OPTIONS,
    outcome: { type: 'string' },
    status: { type: 'string' },
    label: { type: 'string' },
    worker: { type: 'string' },
    key: { type: 'string' },
    'min-duration-ms': { type: 'string' },
    'max-duration-ms': { type: 'string' },
    trigger: { type: 'string' },
    work: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
  })
  const { job: name, work: workId, error: errorCode, label, worker, key } = values
  if (workId !== undefined && !UUID.test(workId)) {
    throw new UsageError(`--work: "${workId}" is not the id of a piece of work`)
  }
  const filters: Omit<ListJobRunsOptions, 'limit' | 'after'> = {
    name,
    workId,
    errorCode,
    label,
    worker,
    key,
    minDurationMs: readDuration('--min-duration-ms', values['min-duration-ms']),
    maxDurationMs: readDuration('--max-duration-ms', values['max-duration-ms']),
    outcome: readChoice('--outcome', values.outcome, RUN_OUTCOMES),
    status: readChoice('--status', values.status, RUN_STATUSES),
    trigger: readChoice('--trigger', values.trigger, JOB_TRIGGERS),
    from: values.from === undefined ? undefined : parseDate('--from', values.from),
    to: values.to === undefined ? undefined : parseDate('--to', values.to),
  }
  return await showList(values, terminal, source, {
    name: 'runs',
    async read(reader, page) {
      const found = await listJobRuns(reader, { ...filters, ...page })
      return { items: found.runs.map((run) => hideMessages(run, values)), next: found.next }
    },
    format: formatRuns,
    none: (mayBeMore) =>
      mayBeMore ? 'None so far: there are more to look through.' : 'There is no such run.',
  })
}

function readChoice<const Choice extends string>(
  option: string,
  text: string | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  const choice = choices.find((one) => one === text)
  if (text === undefined || choice !== undefined) return choice
  throw new UsageError(`${option}: "${text}" is none of ${choices.join(', ')}`)
}

/** The same limit as the API's. */
const MAX_DURATION_MS = 999_999_999_999

function readDuration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  return parseWholeNumber(option, text, { min: 0, max: MAX_DURATION_MS, otherwise: 0 })
}

const STYLES: Record<ListedJobRun['outcome'], Style | undefined> = {
  running: 'cyan',
  success: undefined,
  suspended: 'cyan',
  failed: 'red',
  lost: 'red',
  cancelled: 'dim',
  blocked: 'yellow',
  expired: 'yellow',
  givenBack: 'dim',
}

/** Two lines for each run: what happened, and below it the id and why it failed. */
function formatRuns(runs: readonly ListedJobRun[], { width, paint }: Layout): string[] {
  const outcomeWidth = Math.max(...runs.map(({ outcome }) => outcome.length))
  const tookWidth = Math.max(...runs.map((run) => describeTook(run).length))
  return runs.flatMap((run) => {
    const { startedAt, outcome, name, id, trigger, attempt, dryRun, version } = run
    const left = describeStillDue(run)
    const notes = told(
      trigger,
      attempt > 1 && `attempt ${attempt}`,
      dryRun && 'dry run',
      left,
      version !== null && `version ${onOneLine(version)}`,
    )
    const head = [
      startedAt.slice(0, 19).replace('T', ' '),
      outcome.padEnd(outcomeWidth),
      describeTook(run).padStart(tookWidth),
      run.label === null ? onOneLine(name) : `${onOneLine(name)}  ${onOneLine(run.label)}`,
    ].join('  ')
    const style = STYLES[outcome]
    const error = describeError(run)
    return [
      style === undefined ? head : paint(style, head),
      paint('dim', `  ${id}  ${notes.join(', ')}`),
      ...(error === null ? [] : [`  ${wrap(error, width - 2, 2)}`]),
    ]
  })
}

function describeTook({ startedAt, endedAt }: ListedJobRun): string {
  return endedAt === null ? '' : describeDuration(Date.parse(endedAt) - Date.parse(startedAt))
}
