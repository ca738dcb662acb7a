import { acquireDatabase, createDatabaseClient, databaseProblem, EnvironmentError } from '@roundsman/db'
import { createLogger, explainListenError, listenForStop, StartError } from '@roundsman/process'
import { createWorker } from '@roundsman/runtime/worker'
import type { Logger } from 'pino'
import { readWorkerEnvironment, type WorkerEnvironment } from './env.ts'
import { buildHealth } from './health.ts'
import { createHandlers } from './jobs/index.ts'

process.exit(await run())

/** The worker process, from its environment to its exit code. */
async function run(): Promise<number> {
  try {
    const env = readWorkerEnvironment(process.env)
    const log = createLogger({ app: 'worker', level: env.LOG_LEVEL })
    const stop = listenForStop({ isSupervised: env.ROUNDSMAN_SUPERVISED })
    await work(env, log, stop)
    log.info('worker stopped')
    return 0
  } catch (error) {
    if (!(error instanceof EnvironmentError || error instanceof StartError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

/** Resolves once `stop` is aborted and everything that was opened is closed again. */
async function work(env: WorkerEnvironment, log: Logger, stop: AbortSignal): Promise<void> {
  const database = await acquireDatabase(env, (progress) => log.info({ progress }, 'embedded database'))
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'roundsman worker',
    onPoolError: (error) => log.warn({ err: error }, 'database connection lost'),
  })
  try {
    const problem = await databaseProblem(database.url)
    if (problem) throw new EnvironmentError([problem])
    if (env.JOBS_ENABLED) {
      const worker = createWorker({
        databaseUrl: database.url,
        prisma,
        jobs: env.jobs,
        handlers: createHandlers(env),
        log,
        concurrency: env.WORKER_CONCURRENCY,
        drainTimeoutMs: env.DRAIN_TIMEOUT_MS,
      })
      await serveHealth(env, worker.isReady, async () => {
        await worker.start()
        await aborted(stop)
        log.info({ reason: stop.reason }, 'worker draining')
        await worker.stop()
      })
    } else {
      log.info({ reason: 'JOBS_ENABLED=false' }, 'Jobs scheduler disabled')
      await serveHealth(env, () => true, () => aborted(stop))
    }
  } finally {
    await prisma.$disconnect()
    await database.release()
  }
}

async function serveHealth(
  env: WorkerEnvironment,
  isReady: () => boolean,
  work: () => Promise<void>,
): Promise<void> {
  const health = buildHealth({ isReady })
  const { WORKER_PORT: port, HOST: host } = env
  try {
    await health.listen({ port, host })
  } catch (error) {
    throw explainListenError(error, { variable: 'WORKER_PORT', port, host }) ?? error
  }
  try {
    await work()
  } finally {
    await health.close()
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
