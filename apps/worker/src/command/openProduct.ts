import { join } from 'node:path'
import {
  ENGINE_SCHEMA,
  acquireDatabase,
  createDatabaseClient,
  databaseProblem,
  describeTablesError,
  hasDatabase,
  missingMigrations,
  type DatabaseEnvironment,
  type PrismaClient,
} from '@roundsman/db'
import { createPinger } from '@roundsman/engine/worker'
import { jobs as catalogue } from '@roundsman/jobs'
import {
  createLogger,
  EnvironmentError,
  readVersion,
  startTracing,
  tracingOptions,
} from '@roundsman/node-app'
import { ForeseenError, type Product, type RunPlace, type Terminal } from 'roundsman/commands'
import { acquireMigratedDatabase } from '../acquireMigratedDatabase.ts'
import { cronVariable } from '../cronVariable.ts'
import { disconnect } from '../disconnect.ts'
import { readWorkerEnvironment, type WorkerEnvironment } from '../env.ts'
import { deferSignals } from './deferSignals.ts'

/** How long the last pings may take: the run is over, and somebody waits for the command to end. */
const LAST_PINGS_MS = 10_000

/** What the CLI's commands need of this product: its jobs as the environment adjusts them, its database and its handlers. */
export async function openProduct({ variables, stderr }: Terminal): Promise<Product> {
  const env = await asForeseen(async () => readWorkerEnvironment(variables))
  return {
    jobs: env.jobs,
    catalogue,
    isEnabled: env.JOBS_ENABLED,
    cronVariable,
    within: (work) =>
      asForeseen(
        () => withDatabase(env, (databaseUrl) => work({ databaseUrl, schema: ENGINE_SCHEMA })),
        env,
      ),
    withHandlers: (work) => asForeseen(() => withHandlers(env, stderr, work), env),
  }
}

/** Turns an error of the environment or of the tables into one that commands print without a stack. */
async function asForeseen<Result>(
  work: () => Promise<Result>,
  env?: DatabaseEnvironment,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const problem = env === undefined ? null : describeTablesError(error, env)
    const cause = problem === null ? error : new EnvironmentError([problem])
    if (cause instanceof EnvironmentError) throw new ForeseenError(cause.message, { cause })
    throw error
  }
}

/**
 * Opens the database that is there, for as long as the work takes. It makes, migrates and changes nothing; an embedded one
 * that is not running is started, and stopped again.
 */
async function withDatabase<Value>(
  env: DatabaseEnvironment,
  work: (url: string) => Promise<Value>,
): Promise<Value> {
  if (!(await hasDatabase(env))) {
    throw new ForeseenError('DATABASE_URL is not set, and there is no embedded database yet')
  }
  return await deferSignals(async () => {
    const { url, release } = await acquireDatabase(env)
    try {
      const problem = await databaseProblem(url)
      if (problem !== null) throw new ForeseenError(problem)
      const missing = await missingMigrations(url)
      if (missing.length === 0) return await work(url)
      throw new ForeseenError(
        `the database lacks ${missing.join(', ')}; apply them with pnpm db:migrate`,
      )
    } finally {
      await release()
    }
  })
}

/** Opens what a run needs, as a worker would, with its pings and traces. An embedded database is made if there is none. */
async function withHandlers<Value>(
  env: WorkerEnvironment,
  stderr: Terminal['stderr'],
  work: (opened: RunPlace) => Promise<Value>,
): Promise<Value> {
  // Commands that only look need none of these, which take long to load.
  const [{ openMailer }, { handlersModule }, { createInvoiceRenderer }, { createHandlers }] =
    await Promise.all([
      import('../email/openMailer.ts'),
      import('../handlersModule.ts'),
      import('../invoicePdf/createInvoiceRenderer.ts'),
      import('../jobs/index.ts'),
    ])
  const log = createLogger({ app: 'once', level: env.LOG_LEVEL, destination: stderr })
  const database = await acquireMigratedDatabase(env, log)
  const version = readVersion(join(import.meta.dirname, '..'))
  const tracing = await startTracing({
    app: 'once',
    version,
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
  const renderer = createInvoiceRenderer()
  const mailer = await openMailer(env)
  try {
    await warmUp(prisma)
    return await work({
      databaseUrl: database.url,
      schema: ENGINE_SCHEMA,
      client: prisma,
      handlers: createHandlers({ env, prisma, renderer, mailer }),
      worker: {
        handlersModule,
        retention: env.retention,
        version,
        observers: [pinger.observer, ...(tracing ? [{ runStarted: tracing.traceRun }] : [])],
        traceEnqueue: tracing?.traceEnqueue,
      },
      log,
    })
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
