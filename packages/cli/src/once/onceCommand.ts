import { payloadProblem } from '@roundsman/engine/internal'
import { isEngineJob, JobError, type Handler, type Job } from '@roundsman/engine'
import { runOnce, type RunOnceResult } from '@roundsman/engine/worker'
import { currentUser } from '../command/currentUser.ts'
import type { ProductSource, RunPlace } from '../command/product.ts'
import { parseCommandLine } from '../command/parseOptions.ts'
import {
  ForeseenError,
  UsageError,
  type Command,
  type StoppableTerminal,
  type Terminal,
} from '../command/runCommand.ts'
import { UUID } from '../runs/pages.ts'
import { unknownJob } from '../command/unknownJob.ts'

/** Exit codes for scripts, and for other schedulers. */
const EXIT = { success: 0, failed: 1, usage: 2, alreadyRunning: 3 } as const

const usage = (
  call: string,
) => `Usage: ${call} <job> [--dry-run] [--payload JSON | --dead-letter ID] [--json]

Runs a job now, in this process, and records it like any other run. It needs no worker. A failed run is not retried.

  --dry-run         roll back the database changes of its batches; only for jobs with dryRun.
                    Mails and calls to other services are not rolled back
  --payload JSON    the payload for the job; default {}
  --dead-letter ID  make the next attempt at this dead letter, with its payload
  --json            print the run as JSON

Exit code: 0 success, 1 failed, 2 usage, 3 not started because the job is running or queued already`

interface OnceRequest {
  job: Job
  payload: unknown
  deadLetter: string | undefined
  isDryRun: boolean
  asJson: boolean
}

/** `deadLetterList`: the command that lists dead letters, named in the output. */
export function createOnceCommand(
  source: ProductSource<'jobs' | 'withHandlers'> & { deadLetterList: string },
): Command<StoppableTerminal> {
  return {
    usage: usage(source.call),
    async run(args, terminal) {
      const product = await source.open(terminal)
      const request = readArguments(args, product.jobs)
      const result = await product.withHandlers((opened) => run(request, opened, terminal))
      return report(request, result, terminal, source)
    },
  }
}

/** Runs the job here, with the settings of the product's worker that are about a run. */
async function run(
  { job, payload, deadLetter, isDryRun }: OnceRequest,
  { databaseUrl, schema, client, handlers, worker = {}, log }: RunPlace,
  terminal: StoppableTerminal,
): Promise<RunOnceResult> {
  const handler = Object.hasOwn(handlers, job.name) ? handlers[job.name] : undefined
  if (!handler && !isEngineJob(job)) {
    throw new ForeseenError(`\`open\` of roundsman.config.ts gives no handler of ${job.name}`)
  }
  const { handlersModule, retention, version, observers, traceEnqueue } = worker
  if (retention === false && isEngineJob(job)) {
    throw new ForeseenError(`${job.name} would delete what \`retention: false\` keeps`)
  }
  const stop = new AbortController()
  const wish = terminal.listenForStop()
  wish.addEventListener('abort', () => {
    stop.abort(new JobError('cancelled', `Stopped by ${wish.reason}`, { retryable: false }))
  })
  return await runOnce({
    databaseUrl,
    schema,
    client: client as never,
    job,
    handler: handler as Handler<never, never> | undefined,
    handlersModule,
    ...(retention && { retention }),
    ...(observers !== undefined && { observers }),
    version,
    traceEnqueue,
    payload,
    ...(deadLetter !== undefined && { deadLetter }),
    dryRun: isDryRun,
    actor: currentUser(),
    log,
    signal: stop.signal,
  })
}

function readArguments(args: string[], jobs: readonly Job[]): OnceRequest {
  const { values, positionals } = parseCommandLine(args, {
    'dry-run': { type: 'boolean' },
    payload: { type: 'string' },
    'dead-letter': { type: 'string' },
    json: { type: 'boolean' },
  })
  const list = jobs.map(({ name, description }) => `  ${name.padEnd(24)}${description}`).join('\n')
  const [name, ...rest] = positionals
  if (name === undefined) throw new UsageError(`Which job? These are known:\n${list}`)
  if (rest.length > 0) throw new UsageError(`One job at a time; "${rest.join(' ')}" is too much`)
  const job = jobs.find((candidate) => candidate.name === name)
  if (!job) {
    throw unknownJob(
      name,
      jobs.map((known) => known.name),
      { known: `These are known:\n${list}` },
    )
  }
  const deadLetter = values['dead-letter']
  const isDryRun = values['dry-run'] ?? false
  if (isDryRun && !job.dryRun)
    throw new UsageError(
      `${name} supports no dry run: its definition has no dryRun: true. What its handler does outside of batches would really happen`,
    )
  if (deadLetter !== undefined) {
    if (values.payload !== undefined)
      throw new UsageError('--dead-letter brings its own payload: leave --payload out')
    if (isDryRun) throw new UsageError('--dead-letter makes a real attempt: leave --dry-run out')
    if (!UUID.test(deadLetter))
      throw new UsageError(`"${deadLetter}" is not the id of a dead letter`)
  }
  // The dead letter's own payload is checked by its run.
  const payload = deadLetter === undefined ? readPayload(values.payload, job) : undefined
  return { job, payload, deadLetter, isDryRun, asJson: values.json ?? false }
}

function readPayload(text: string | undefined, job: Job): unknown {
  let payload: unknown = {}
  try {
    if (text !== undefined) payload = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`--payload is not JSON: ${(error as Error).message}`)
  }
  const problem = payloadProblem(job, payload)
  if (problem === null) return payload
  throw new UsageError(
    text === undefined
      ? `${job.name} needs a --payload: ${problem}`
      : `--payload does not fit ${job.name}: ${problem}`,
  )
}

function report(
  { job, asJson }: OnceRequest,
  result: RunOnceResult,
  { stdout, stderr }: Terminal,
  { deadLetterList }: { deadLetterList: string },
): number {
  if (asJson) stdout.write(`${JSON.stringify(result.kind === 'ended' ? result.run : result)}\n`)
  switch (result.kind) {
    case 'ended': {
      const { status, id, durationMs, dryRun, details } = result.run
      if (!asJson) {
        const what = dryRun ? `${status} (dry run, rolled back)` : status
        stdout.write(`${job.name}: ${what} in ${durationMs} ms\n`)
        stdout.write(`  run      ${id}\n  details  ${JSON.stringify(details)}\n`)
      }
      return status === 'success' ? EXIT.success : EXIT.failed
    }
    case 'alreadyRunning':
      if (!asJson) {
        const { fullLimit: full } = result
        const isKnown = result.runId !== null
        const ofKey = full?.key === '' ? 'work without a key' : `its key ${full?.key}`
        const why = full
          ? `all slots of ${full.key === null ? `the limit ${full.name}` : ofKey} are taken`
          : 'it is running already'
        stdout.write(`${job.name}: not started, ${why}\n`)
        if (isKnown) stdout.write(`  run      ${result.runId}\n  worker   ${result.workerId}\n`)
      }
      return EXIT.alreadyRunning
    case 'alreadyQueued':
      if (!asJson) {
        stdout.write(
          `${job.name}: not started, work with the same unique key waits or runs already\n`,
        )
        stdout.write(`  work     ${result.workId}\n`)
      }
      return EXIT.alreadyRunning
    case 'noDeadLetter':
      stderr.write(
        `${job.name} has no dead letter ${result.workId}; ${deadLetterList} lists those there are\n`,
      )
      return EXIT.usage
    case 'lost':
      if (!asJson) stdout.write(`${job.name}: lost, another worker ended run ${result.runId}\n`)
      return EXIT.failed
    default:
      return result satisfies never
  }
}
