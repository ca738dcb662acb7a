import { join } from 'node:path'
import { ENGINE_SCHEMA, createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { createLogger, readVersion, startTracing, tracingOptions } from '@roundsman/node-app'
import { JobError } from '@roundsman/engine'
import { createPinger, runOnce, type RunOnceResult } from '@roundsman/engine/worker'
import {
  createOnceCommand,
  currentUser,
  type OnceRequest,
  type OnceTerminal,
} from 'roundsman/commands'
import { asForeseen } from '../command/asForeseen.ts'
import { disconnect } from '../disconnect.ts'
import { openMailer } from '../email/openMailer.ts'
import { readWorkerEnvironment, type WorkerEnvironment } from '../env.ts'
import { explainTablesError } from '../explainTablesError.ts'
import { handlersModule } from '../handlersModule.ts'
import { createInvoiceRenderer } from '../invoicePdf/createInvoiceRenderer.ts'
import { createHandlers } from '../jobs/index.ts'
import { acquireMigratedDatabase } from '../acquireMigratedDatabase.ts'

/** How long the last pings may take: the run is over, and somebody waits for the command to end. */
const LAST_PINGS_MS = 10_000

export const onceCommand = createOnceCommand({
  call: 'pnpm worker:once',
  deadLetterList: 'pnpm worker:dead-letters',
  async open(terminal) {
    const env = await asForeseen(() => readWorkerEnvironment(terminal.variables))
    return {
      jobs: env.jobs,
      run: (request) => asForeseen(() => perform(request, env, terminal)),
    }
  },
})

/** Runs a job once in this process, as a worker would, with its pings and traces. */
async function perform(
  request: OnceRequest,
  env: WorkerEnvironment,
  terminal: OnceTerminal,
): Promise<RunOnceResult> {
  // Log lines go to standard error, because the command prints its result on standard output.
  const log = createLogger({ app: 'once', level: env.LOG_LEVEL, destination: terminal.stderr })
  const database = await acquireMigratedDatabase(env, log)
  const tracing = await startTracing({
    app: 'once',
    version: readVersion(join(import.meta.dirname, '..')),
    ...tracingOptions(env),
    onProblem: (reason) => log.warn({ reason }, 'traces could not be delivered'),
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
      schema: ENGINE_SCHEMA,
      databaseUrl: database.url,
      client: prisma,
      job: request.job,
      handler: handlers[request.job.name as keyof typeof handlers],
      handlersModule,
      retention: env.retention,
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
    throw explainTablesError(error) ?? error
  } finally {
    await renderer.close()
    mailer?.close()
    await Promise.all([pinger.close({ timeoutMs: LAST_PINGS_MS }), disconnect(prisma)])
    await tracing?.close()
    await database.release()
  }
}

/**
 * Has Prisma run its first transaction, which takes longer than a small clean-up and would count as the run's time. If it
 * fails, the run meets the same error and reports it.
 */
async function warmUp(prisma: PrismaClient): Promise<void> {
  await prisma.$transaction((tx) => tx.$queryRaw`select 1`).catch(() => undefined)
}
