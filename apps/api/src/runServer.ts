import { openAlerts } from '@roundsman/alerts'
import {
  acquireDatabase,
  createDatabaseClient,
  examineDatabase,
  findDemoPasswords,
  type AcquiredDatabase,
  type DatabaseClient,
} from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import { demoJobNames, demoJobs } from '@roundsman/jobs/demo'
import {
  awaitRelease,
  EnvironmentError,
  explainListenError,
  readVersion,
  StartError,
  startTracing,
  tracingOptions,
  type ProcessHost,
} from '@roundsman/node-app'
import {
  getOldestSnapshot,
  getQueueStats,
  listProblems,
  listSchedules,
} from '@roundsman/engine/client'
import { watchJobHealth, watchOldestSnapshot, watchQueue } from '@roundsman/engine/metrics'
import { createMetrics, type Tracing } from '@roundsman/node-app/telemetry'
import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { withoutDemo } from './jobs/readHealth.ts'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { createApiLogger } from './http/createApiLogger.ts'
import { readApiEnvironment, type ApiEnvironment } from './env.ts'
import { openJobsClient } from './jobs/openJobsClient.ts'

/*
 * The API's process. A wish to stop (a signal, or the end of its supervisor's input) leads from each state to the end.
 *
 *   held       Started with ROUNDSMAN_HELD: its code is loaded. The supervisor's word to begin makes it starting.
 *   starting   It opens the database and its clients; on an embedded database it waits until the worker has migrated it.
 *              Then it listens: serving. What is wrong with the environment ends it with 1, and is told on standard error.
 *   serving    A stop makes it draining.
 *   draining   It takes no new connections. Once open requests are answered, or after 10 s, it ends with 0.
 */

/** How long open requests may take once the process was asked to stop. */
const DRAIN_TIMEOUT_MS = 10_000
const SWEEP_INTERVAL_MS = 50

const VERSION = readVersion(import.meta.dirname)

/** Runs the API, from its environment to the exit code of its process. */
export async function runServer(host: ProcessHost): Promise<number> {
  try {
    const env = readApiEnvironment(host.variables)
    const stop = host.listenForStop({ isSupervised: env.ROUNDSMAN_SUPERVISED })
    if (!(await awaitRelease({ isHeld: env.ROUNDSMAN_HELD, stop }))) return 0
    const logger = createApiLogger({
      level: env.LOG_LEVEL,
      ...(host.logDestination && { destination: host.logDestination }),
    })
    const tracing = await startTracing({
      app: 'api',
      version: VERSION,
      ...tracingOptions(env),
      onProblem: (reason) => logger.warn({ reason }, 'traces could not be delivered'),
    })
    try {
      await serve(env, logger, stop, tracing)
    } finally {
      await tracing?.close()
    }
    logger.info('API stopped')
    return 0
  } catch (error) {
    if (!(error instanceof EnvironmentError || error instanceof StartError)) throw error
    host.stderr.write(`${error.message}\n`)
    return 1
  }
}

/** Serves until `stop` is aborted, and resolves once everything that it opened is closed again. */
async function serve(
  env: ApiEnvironment,
  logger: Logger,
  stop: AbortSignal,
  tracing: Tracing | null,
): Promise<void> {
  const database = await acquireApiDatabase(env, logger)
  try {
    const { problem, remedies } = await examineDatabase(database.url)
    if (problem !== null) throw new StartError(problem)
    if (remedies.length > 0) {
      logger.warn({ remedies }, 'a pooler ignores settings that our connections ask for')
    }
    const jobsClient = await openJobsClient({
      env,
      database,
      logger,
      stop,
      traceEnqueue: tracing?.traceEnqueue,
    })
    if (!jobsClient) return
    const { METRICS_TOKEN: token } = env
    const metrics = token === undefined ? null : createMetrics({ app: 'api', version: VERSION })
    const prisma = createDatabaseClient({
      url: database.url,
      applicationName: 'roundsman api',
      onPoolError: (error) => logger.warn({ err: error }, 'database connection lost'),
      canPrepare: jobsClient.areConnectionsLasting,
      ...(tracing && { onConnect: tracing.traceDatabase }),
      onPool: (read) => metrics?.watchPool('prisma', read),
    })
    if (metrics) {
      const names = jobs.map(({ name }) => name)
      const { prometheus, registry } = metrics
      const target = { prometheus, registry }
      watchQueue({ ...target, measure: () => getQueueStats(jobsClient.reader, names) })
      watchOldestSnapshot({ ...target, read: () => getOldestSnapshot(jobsClient.reader) })
      watchJobHealth({
        ...target,
        async read() {
          const { problems } = await listProblems(jobsClient.reader, jobs, new Date())
          return { problems: withoutDemo(problems, jobs) }
        },
      })
    }
    let alerts: Awaited<ReturnType<typeof openAlerts>> = null
    try {
      if (env.NODE_ENV === 'production') await refuseDemoPasswords(prisma)
      alerts = await openAlerts({
        env,
        databaseUrl: database.url,
        prisma,
        jobs,
        mailDomain: env.MAIL_DOMAIN ?? 'roundsman.localhost',
        log: logger,
      })
      // Somebody may have asked us to stop while the database started.
      if (!stop.aborted) {
        const { JWT_SECRET: jwtSecret, MAIL_DOMAIN: mailDomain } = env
        const isDemo =
          env.ROUNDSMAN_DEMO && (await listSchedules(jobsClient.reader, demoJobNames)).size > 0
        const app = buildApp({
          prisma,
          jobsClient,
          jobs,
          ...(isDemo && { demoJobs }),
          jwtSecret,
          mailDomain,
          version: VERSION,
          traceUrl: env.TRACE_URL,
          logger,
          ...(tracing && { tracing }),
          ...(metrics && token !== undefined && { metrics: { metrics, token } }),
        })
        await listen(app, env, logger, stop)
      }
    } finally {
      await alerts?.close()
      await jobsClient.stop()
      await prisma.$disconnect()
    }
  } finally {
    await database.release()
  }
}

/**
 * Refuses to start in production with demo accounts: whoever has read our documents could log in. Nobody logs in at the worker,
 * which goes on.
 */
async function refuseDemoPasswords(prisma: DatabaseClient): Promise<void> {
  const [email, ...others] = await findDemoPasswords(prisma)
  if (email === undefined) return
  throw new StartError(
    `DATABASE_URL: ${[email, ...others].join(', ')} still log in with the demo password, which everybody knows; ` +
      `give each another: pnpm user:password --email ${email}`,
  )
}

/**
 * Connects to the database, or starts the embedded one.
 * @throws StartError that names the remedy
 */
async function acquireApiDatabase(env: ApiEnvironment, logger: Logger): Promise<AcquiredDatabase> {
  try {
    return await acquireDatabase(env, (progress) => logger.info({ progress }, 'embedded database'))
  } catch (error) {
    throw new StartError(
      `DATA_DIR: the embedded database in ${env.DATA_DIR} did not start (${(error as Error).message}); ` +
        'set DATA_DIR to another folder, or DATABASE_URL to a database of yours',
      { cause: error },
    )
  }
}

/** Listens until `stop` is aborted, then drains; also when it can't listen. */
async function listen(
  app: FastifyInstance,
  env: ApiEnvironment,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  try {
    await app.listen({
      port: env.PORT,
      host: env.HOST,
      listenTextResolver: (address) => `API listening at ${address}`,
    })
    if (!stop.aborted) await once(stop, 'abort')
    logger.info({ reason: stop.reason }, 'API stopping')
  } catch (error) {
    const { PORT: port, HOST: host } = env
    throw explainListenError(error, { variable: 'PORT', port, host }) ?? error
  } finally {
    await drain(app)
  }
}

/** Closes the server once every open request is answered, or after DRAIN_TIMEOUT_MS. */
async function drain(app: FastifyInstance): Promise<void> {
  // A connection that was busy when the server closed stays open after its answer, and waits for another request.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_INTERVAL_MS)
  const timer = setTimeout(() => app.server.closeAllConnections(), DRAIN_TIMEOUT_MS)
  await app.close()
  clearInterval(sweep)
  clearTimeout(timer)
}
