import { userInfo } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { createLogger, readVersion, startTracing, tracingOptions } from '@roundsman/node-app'
import { describePayloadError, JobError, type Job } from '@roundsman/engine'
import { runOnce, type RunOnceResult } from '@roundsman/engine/worker'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { disconnect } from '../disconnect.ts'
import { openMailer } from '../email/openMailer.ts'
import { readWorkerEnvironment, type WorkerEnvironment } from '../env.ts'
import { explainQueueError } from '../explainQueueError.ts'
import { handlersModule } from '../handlersModule.ts'
import { createInvoiceRenderer } from '../invoicePdf/createInvoiceRenderer.ts'
import { createHandlers } from '../jobs/index.ts'
import { acquireMigratedDatabase } from '../acquireMigratedDatabase.ts'
import { createPinger } from '../pings/createPinger.ts'

/** Contract of `pnpm worker:once`, for scripts and for schedulers of other makes. */
const EXIT = { success: 0, failed: 1, usage: 2, alreadyRunning: 3 } as const

const USAGE = `Usage: pnpm worker:once <job> [--dry-run] [--payload JSON | --dead-letter ID] [--json]

  --dry-run         roll everything back; the run is recorded as a dry run
  --payload JSON    what the job is given; default {}
  --dead-letter ID  work of this job that was given up: with its payload, as its next attempt
  --json            print the run as JSON

Exit code: 0 success, 1 failed, 2 usage, 3 not started because it is running, or queued, already`

/** The run is over, and whoever waits for it should not wait long for a monitor. */
const LAST_PINGS_MS = 10_000

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

interface Request {
  job: Job
  payload: unknown
  deadLetter: string | undefined
  isDryRun: boolean
  asJson: boolean
}

export interface OnceTerminal extends Terminal {
  /** Called when there is something to break off; aborted when the run should stop. */
  listenForStop(): AbortSignal
}

export const onceCommand: Command<OnceTerminal> = { usage: USAGE, run: once }

async function once(args: string[], terminal: OnceTerminal): Promise<number> {
  const env = readWorkerEnvironment(terminal.variables)
  const request = readArguments(args, env.jobs)
  return report(request, await perform(request, env, terminal), terminal)
}

function readArguments(args: string[], jobs: readonly Job[]): Request {
  const { values, positionals } = parse(args)
  const list = jobs.map(({ name, description }) => `  ${name.padEnd(24)}${description}`).join('\n')
  const [name, ...rest] = positionals
  if (name === undefined) throw new UsageError(`Which job? These are known:\n${list}`)
  if (rest.length > 0) throw new UsageError(`One job at a time; "${rest.join(' ')}" is too much`)
  const job = jobs.find((candidate) => candidate.name === name)
  if (!job) throw new UsageError(`There is no job "${name}". These are known:\n${list}`)
  const deadLetter = values['dead-letter']
  const isDryRun = values['dry-run'] ?? false
  if (deadLetter !== undefined) {
    if (values.payload !== undefined) throw new UsageError('A dead letter has its own payload')
    if (isDryRun) throw new UsageError("A dead letter's next attempt is a real one: no --dry-run")
    if (!UUID.test(deadLetter))
      throw new UsageError(`"${deadLetter}" is not the id of a dead letter`)
  }
  // What a dead letter carries is for its run to refuse.
  const payload = deadLetter === undefined ? readPayload(values.payload, job) : undefined
  return { job, payload, deadLetter, isDryRun, asJson: values.json ?? false }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean' },
        payload: { type: 'string' },
        'dead-letter': { type: 'string' },
        json: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function readPayload(text: string | undefined, job: Job): unknown {
  let payload: unknown = {}
  try {
    if (text !== undefined) payload = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`--payload is not JSON: ${(error as Error).message}`)
  }
  const parsed = job.payload.safeParse(payload)
  if (parsed.success) return payload
  const problem = describePayloadError(parsed.error)
  throw new UsageError(
    text === undefined
      ? `${job.name} needs a --payload: ${problem}`
      : `--payload does not fit ${job.name}: ${problem}`,
  )
}

async function perform(
  request: Request,
  env: WorkerEnvironment,
  terminal: OnceTerminal,
): Promise<RunOnceResult> {
  // Standard output is for the result.
  const log = createLogger({ app: 'once', level: env.LOG_LEVEL, destination: terminal.stderr })
  const database = await acquireMigratedDatabase(env, log)
  const tracing = await startTracing({
    app: 'once',
    version: readVersion(join(import.meta.dirname, '..')),
    ...tracingOptions(env),
    onProblem: (reason) => log.warn({ reason }, 'traces are not taken'),
  })
  const pinger = createPinger({ urls: env.pingUrls, log })
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'roundsman once',
    poolSize: 2,
    onPoolError: (error) => log.warn({ err: error }, 'database connection lost'),
    ...(tracing && { onConnect: tracing.traceDatabase }),
  })
  const stop = new AbortController()
  const wish = terminal.listenForStop()
  wish.addEventListener('abort', () => {
    stop.abort(new JobError('cancelled', `Stopped by ${wish.reason}`, { retryable: false }))
  })
  const renderer = createInvoiceRenderer()
  const mailer = await openMailer(env)
  try {
    const handlers = createHandlers({ env, prisma, renderer, mailer })
    await warmUp(prisma)
    return await runOnce({
      databaseUrl: database.url,
      client: prisma,
      job: request.job,
      handler: handlers[request.job.name as keyof typeof handlers],
      handlersModule,
      payload: request.payload,
      ...(request.deadLetter !== undefined && { deadLetter: request.deadLetter }),
      dryRun: request.isDryRun,
      actor: currentUser(),
      log,
      signal: stop.signal,
      observers: [pinger.observer, ...(tracing ? [{ runStarted: tracing.traceRun }] : [])],
      traceEnqueue: tracing?.traceEnqueue,
    })
  } catch (error) {
    throw explainQueueError(error) ?? error
  } finally {
    await renderer.close()
    mailer?.close()
    await Promise.all([pinger.close({ timeoutMs: LAST_PINGS_MS }), disconnect(prisma)])
    await tracing?.close()
    await database.release()
  }
}

/**
 * Its first statement takes Prisma longer than a small clean-up: a worker has that behind it, and here it would be
 * taken for the run's own time. Where it fails, the run meets the same and says so.
 */
async function warmUp(prisma: PrismaClient): Promise<void> {
  await prisma.$queryRaw`select 1`.catch(() => undefined)
}

/** Who asks for the run. In a container the account may be a number without a name. */
function currentUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}

function report(
  { job, asJson }: Request,
  result: RunOnceResult,
  { stdout, stderr }: Terminal,
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
        stdout.write(`${job.name}: not started, it is running already\n`)
        stdout.write(`  run      ${result.runId}\n  worker   ${result.workerId}\n`)
      }
      return EXIT.alreadyRunning
    case 'alreadyQueued':
      if (!asJson) {
        stdout.write(
          `${job.name}: not started, work with the same unique key waits or runs already\n`,
        )
        stdout.write(`  work     ${result.queueJobId}\n`)
      }
      return EXIT.alreadyRunning
    case 'noDeadLetter':
      stderr.write(
        `${job.name} has no dead letter ${result.queueJobId}; GET /api/jobs/dead-letters lists those there are\n`,
      )
      return EXIT.usage
    case 'lost':
      if (!asJson) stdout.write(`${job.name}: lost, another worker ended run ${result.runId}\n`)
      return EXIT.failed
    default:
      return result satisfies never
  }
}
