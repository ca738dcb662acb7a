import {
  describeTablesError,
  ENGINE_SCHEMA,
  missingMigrations,
  type AcquiredDatabase,
  type DatabaseEnvironment,
} from '@roundsman/db'
import { StartError } from '@roundsman/node-app'
import {
  createJobsClient,
  TablesError,
  type JobsClient,
  type JobsClientOptions,
} from '@roundsman/engine/client'
import type { TraceEnqueue } from '@roundsman/engine'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'

const RETRY_INTERVAL_MS = 500

export interface OpenJobsClientOptions {
  env: DatabaseEnvironment
  database: AcquiredDatabase
  logger: Logger
  stop: AbortSignal
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/**
 * Starts a client once the database has all tables; null if `stop` is aborted first. The API changes no schema: it
 * waits while the worker migrates the embedded database, and refuses another one that is behind.
 * @throws StartError that names the remedy; at once where the tables are of another baseline or of a newer version
 */
export async function openJobsClient(options: OpenJobsClientOptions): Promise<JobsClient | null> {
  const { env, database, logger, stop, traceEnqueue } = options
  let isAnnounced = false
  while (!stop.aborted) {
    const opened = await tryOpen(
      { databaseUrl: database.url, schema: ENGINE_SCHEMA, log: logger, traceEnqueue },
      env,
    )
    if (typeof opened !== 'string') return opened
    if (!database.isEmbedded) {
      throw new StartError(`DATABASE_URL: ${opened}; apply them with pnpm db:migrate`)
    }
    if (!isAnnounced) {
      const remedy = 'start the worker (pnpm start:worker), or run pnpm db:migrate'
      logger.warn({ missing: opened, remedy }, 'API waiting for the database to be migrated')
      isAnnounced = true
    }
    await pause(RETRY_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined)
  }
  return null
}

/** Returns the client, or says what the database lacks. */
async function tryOpen(
  options: JobsClientOptions,
  env: DatabaseEnvironment,
): Promise<JobsClient | string> {
  const missing = await missingMigrations(options.databaseUrl)
  if (missing.length > 0) return `the database lacks ${missing.join(', ')}`
  // A new client for each attempt: one that failed to start can't be started again.
  const client = createJobsClient(options)
  try {
    await client.start()
    return client
  } catch (error) {
    await client.stop()
    if (error instanceof TablesError && error.kind === 'missing') return error.problem
    const problem = describeTablesError(error, env)
    throw problem === null ? error : new StartError(problem)
  }
}
