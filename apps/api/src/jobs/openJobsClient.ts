import { ENGINE_SCHEMA, missingMigrations, type AcquiredDatabase } from '@roundsman/db'
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
  database: AcquiredDatabase
  logger: Logger
  stop: AbortSignal
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/**
 * A started client to the queue, which takes a database with all of our tables and the queue's. The API
 * changes no schema. On a database of somebody's, what is missing is a deploy step that was left out, and
 * ends the start; the embedded one is migrated by the worker of the same installation, which may be
 * starting at this moment, so there it is waited for. A newer version's is refused at once. Null when `stop` is aborted
 * meanwhile.
 * @throws StartError that names the remedy
 */
export async function openJobsClient(options: OpenJobsClientOptions): Promise<JobsClient | null> {
  const { database, logger, stop, traceEnqueue } = options
  let isAnnounced = false
  while (!stop.aborted) {
    const opened = await tryOpen({
      databaseUrl: database.url,
      schema: ENGINE_SCHEMA,
      log: logger,
      traceEnqueue,
    })
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

/** The client, or what the database lacks. */
async function tryOpen(options: JobsClientOptions): Promise<JobsClient | string> {
  const missing = await missingMigrations(options.databaseUrl)
  if (missing.length > 0) return `the database lacks ${missing.join(', ')}`
  // A new one for each attempt: what failed to start is not for starting again.
  const client = createJobsClient(options)
  try {
    await client.start()
    return client
  } catch (error) {
    await client.stop()
    if (!(error instanceof TablesError)) throw error
    if (error.kind !== 'newer') return error.problem
    throw new StartError(`DATABASE_URL: ${error.problem}; deploy its version`)
  }
}
