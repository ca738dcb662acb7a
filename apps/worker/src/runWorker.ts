import { hostname } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { openAlerts } from '@roundsman/alerts'
import {
  ENGINE_SCHEMA,
  createDatabaseClient,
  describeTablesError,
  type AcquiredDatabase,
} from '@roundsman/db'
import { dispatchEmail, renderInvoicePdf } from '@roundsman/jobs'
import { demoJobNames, demoJobs } from '@roundsman/jobs/demo'
import {
  awaitRelease,
  createLogger,
  EnvironmentError,
  explainListenError,
  readVersion,
  StartError,
  startTracing,
  tracingOptions,
  type ProcessHost,
} from '@roundsman/node-app'
import { createRunMetrics } from '@roundsman/engine/metrics'
import { createPinger, createWorker } from '@roundsman/engine/worker'
import { openReader, listSchedules } from '@roundsman/engine/client'
import { giveBackMemory } from '@roundsman/node-app/giveBackMemory'
import type { Tracing } from '@roundsman/node-app/telemetry'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { disconnect } from './disconnect.ts'
import { openMailer } from './email/openMailer.ts'
import { domainOf } from './email/parseMailbox.ts'
import { readWorkerEnvironment, type WorkerEnvironment } from './env.ts'
import { buildHealth } from './buildHealth.ts'
import { handlersModule } from './handlersModule.ts'
import { createInvoiceRenderer } from './invoicePdf/createInvoiceRenderer.ts'
import { demoHandlers } from './jobs/demoHandlers.ts'
import { createHandlers } from './jobs/index.ts'
import {
  createWorkerMetrics,
  type WorkerMetrics,
  withEmailCounts,
} from './metrics/createWorkerMetrics.ts'
import { acquireMigratedDatabase } from './acquireMigratedDatabase.ts'

/*
 * The worker's process. A wish to stop is a signal, or the end of its supervisor's input.
 *
 *   held      Started with ROUNDSMAN_HELD: its code is loaded. The supervisor's word to begin makes it starting; a stop
 *             ends it with 0.
 *   starting  It listens for health checks and opens the database. What is wrong ends it with 1, told on standard error;
 *             else it becomes working, or with JOBS_ENABLED=false idle.
 *   idle      Ready, but it schedules and executes nothing. A stop ends it with 0.
 *   working   The engine schedules and executes. A stop makes it draining, onFatal failed.
 *   draining  It takes no new work. It ends with 0 once its runs have ended: by themselves, or aborted and given back
 *             after DRAIN_TIMEOUT_MS or at a second signal.
 *   failed    An error belongs to no run, and the engine has stopped. It closes everything and ends with 1, within 10 s.
 */

const VERSION = readVersion(import.meta.dirname)
/** How long the last pings may take after the drain: whoever stops us soon loses patience. */
const LAST_PINGS_MS = 2_000
/** How long closing may take in a process that is in an unknown state. */
const LAST_CLOSING_MS = 10_000
const GIVE_BACK_AFTER_MS = 5_000

interface Context {
  env: WorkerEnvironment
  log: Logger
  stop: AbortSignal
  /** Aborted at a second signal: somebody does not want to wait for the drain. */
  impatience: AbortSignal
  metrics: WorkerMetrics
  /** Null without tracing. */
  tracing: Tracing | null
}

/** Runs the worker, from its environment to the exit code of its process. */
export async function runWorker(host: ProcessHost): Promise<number> {
  try {
    const env = readWorkerEnvironment(host.variables)
    const log = createLogger({
      app: 'worker',
      level: env.LOG_LEVEL,
      ...(host.logDestination && { destination: host.logDestination }),
    })
    const impatience = new AbortController()
    const stop = host.listenForStop({
      isSupervised: env.ROUNDSMAN_SUPERVISED,
      onImpatience: () => impatience.abort(),
    })
    if (!(await awaitRelease({ isHeld: env.ROUNDSMAN_HELD, stop }))) return 0
    const tracing = await startTracing({
      app: 'worker',
      version: VERSION,
      ...tracingOptions(env),
      onProblem: (reason) => log.warn({ reason }, 'traces could not be delivered'),
    })
    const metrics = createWorkerMetrics(VERSION)
    let code = 0
    try {
      code = await work({ env, log, stop, impatience: impatience.signal, metrics, tracing })
    } finally {
      await tracing?.close()
    }
    log.info('worker stopped')
    return code
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error
    host.stderr.write(`${error.message}\n`)
    return 1
  }
}

/** Works until `stop` is aborted, and resolves to the exit code once everything that it opened is closed again. */
async function work(context: Context): Promise<number> {
  const { env, log, stop, metrics } = context
  let isReady = () => false
  const health = buildHealth({
    isReady: () => isReady(),
    metrics,
    metricsToken: env.METRICS_TOKEN,
    host: env.HOST,
  })
  try {
    const database = await open(env, log, health)
    try {
      if (env.JOBS_ENABLED) {
        return await runJobs(context, database.url, (ready) => (isReady = ready))
      }
      isReady = () => true
      log.info({ reason: 'JOBS_ENABLED=false' }, 'Jobs scheduler disabled')
      await aborted(stop)
      return 0
    } finally {
      await database.release()
    }
  } finally {
    await health.close()
  }
}

/**
 * Tries all that the environment can be wrong about, before any work begins, so that one start tells all problems at
 * once.
 */
async function open(
  env: WorkerEnvironment,
  log: Logger,
  health: FastifyInstance,
): Promise<AcquiredDatabase> {
  const [listening, opened] = await Promise.allSettled([
    listen(health, env),
    acquireMigratedDatabase(env, log),
  ])
  if (listening.status === 'fulfilled' && opened.status === 'fulfilled') {
    // With port 0 the system chose one: the log tells which.
    log.info({ url: listening.value }, 'worker health listening')
    return opened.value
  }
  if (opened.status === 'fulfilled') await opened.value.release()
  throw new EnvironmentError(
    [listening, opened].flatMap((result) =>
      result.status === 'rejected' ? problemsOf(result.reason) : [],
    ),
  )
}

async function listen(health: FastifyInstance, env: WorkerEnvironment): Promise<string> {
  const { WORKER_PORT: port, HOST: host } = env
  try {
    return await health.listen({ port, host })
  } catch (error) {
    throw explainListenError(error, { variable: 'WORKER_PORT', port, host }) ?? error
  }
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof EnvironmentError) return error.problems
  if (error instanceof StartError) return [error.message]
  throw error
}

/**
 * Schedules and executes until `stop` is aborted, then drains. The exit code is 1 when the engine had to stop by
 * itself.
 */
async function runJobs(
  { env, log, stop, impatience, metrics, tracing }: Context,
  databaseUrl: string,
  onReady: (isReady: () => boolean) => void,
): Promise<number> {
  const prisma = createDatabaseClient({
    url: databaseUrl,
    // Begins as the worker's id, so that the page of a run knows its worker's sessions.
    applicationName: `roundsman ${hostname()}:${process.pid} worker`,
    onPoolError: (error) => log.warn({ err: error }, 'database connection lost'),
    onPool: (read) => metrics.watchPool('prisma', read),
    ...(tracing && { onConnect: tracing.traceDatabase }),
  })
  const reader = openReader({ schema: ENGINE_SCHEMA, databaseUrl, log, poolSize: 1 })
  const renderer = createInvoiceRenderer()
  const opened = await openMailer(env)
  const mailer = opened && withEmailCounts(opened, metrics.registry)
  const pinger = createPinger({ urls: env.pingUrls, log, onOutcome: metrics.countPing })
  const jobNames = env.jobs.map(({ name }) => name)
  const failure = Promise.withResolvers<'failed'>()
  const isDemo = env.ROUNDSMAN_DEMO && (await listSchedules(reader, demoJobNames)).size > 0
  const worker = createWorker({
    schema: ENGINE_SCHEMA,
    databaseUrl,
    client: prisma,
    version: VERSION,
    jobs: [...env.jobs, ...(isDemo ? demoJobs : [])],
    handlers: {
      ...createHandlers({ env, prisma, renderer, mailer }),
      ...(isDemo ? demoHandlers : ({} as typeof demoHandlers)),
    },
    handlersModule,
    retention: env.retention,
    except: jobsToLeave(env, log),
    only: env.WORKER_JOBS,
    log,
    concurrency: env.WORKER_CONCURRENCY,
    drainTimeoutMs: env.DRAIN_TIMEOUT_MS,
    observers: [
      createRunMetrics(metrics, jobNames),
      pinger.observer,
      ...(tracing ? [{ runStarted: tracing.traceRun }] : []),
    ],
    traceEnqueue: tracing?.traceEnqueue,
    onFatal() {
      failure.resolve('failed')
      // What is being closed now may never end, in the state that the process is in.
      setTimeout(() => process.exit(1), LAST_CLOSING_MS).unref()
    },
  })
  metrics.watchWorker(worker)
  metrics.watchQueue(reader, jobNames)
  let givingBack: NodeJS.Timeout | undefined
  let alerts: Awaited<ReturnType<typeof openAlerts>> = null
  try {
    // What fails here must fail before there is anything to drain.
    alerts = await openAlerts({
      env,
      databaseUrl,
      prisma,
      jobs: env.jobs,
      mailDomain: domainOf(env.MAIL_FROM),
      log,
    })
    await worker.start()
    onReady(worker.isReady)
    // Later, so that nobody who waits for the worker to be ready waits for this as well.
    givingBack = setTimeout(() => void giveBackMemory(), GIVE_BACK_AFTER_MS).unref()
    if ((await Promise.race([aborted(stop), failure.promise])) === 'failed') return 1
    log.info({ reason: stop.reason }, 'worker draining')
    // A second stop() aborts what runs; the runs are recorded and given back as after a drain's time-out.
    void aborted(impatience).then(() => worker.stop())
    await worker.stop()
    // It may have failed while it stopped; onFatal is then called in the next turn.
    return await Promise.race([failure.promise.then(() => 1), setImmediate(0)])
  } catch (error) {
    const problem = describeTablesError(error, env)
    throw problem === null ? error : new EnvironmentError([problem])
  } finally {
    clearTimeout(givingBack)
    await renderer.close()
    mailer?.close()
    await alerts?.close()
    await Promise.all([
      pinger.close({ timeoutMs: LAST_PINGS_MS }),
      disconnect(prisma),
      reader.close(),
    ])
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

type ConditionalJob = (typeof renderInvoicePdf | typeof dispatchEmail)['name']

/** The jobs that this worker can't carry out as it is configured. Their work waits for a worker that can. */
function jobsToLeave(
  { seller, SMTP_URL, WORKER_JOBS }: Pick<WorkerEnvironment, 'seller' | 'SMTP_URL' | 'WORKER_JOBS'>,
  log: Logger,
): ConditionalJob[] {
  const left: ConditionalJob[] = []
  const isWanted = (name: ConditionalJob) => WORKER_JOBS === undefined || WORKER_JOBS.includes(name)
  if (seller === null && isWanted(renderInvoicePdf.name)) {
    log.warn({ remedy: 'set SELLER_NAME' }, 'no issuer for invoices is set: their PDFs wait')
    left.push(renderInvoicePdf.name)
  }
  if (SMTP_URL === undefined && isWanted(dispatchEmail.name)) {
    log.warn({ remedy: 'set SMTP_URL' }, 'no mail server is set: mail waits')
    left.push(dispatchEmail.name)
  }
  return left
}
