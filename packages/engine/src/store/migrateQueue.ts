import type { Logger } from 'pino'
import type { Job } from '../index.ts'
import { openDatabase } from './database.ts'
import { finishUpgrade } from './finishUpgrade.ts'
import { installQueue } from './queue.ts'

/**
 * Creates or upgrades the queue's own schema, and the queues of these jobs: a deploy step, beside the
 * Prisma migrations. Workers and producers start without the right to change a schema.
 */
export async function migrateQueue(options: {
  databaseUrl: string
  jobs: readonly Job[]
  log: Logger
}): Promise<void> {
  const { databaseUrl, jobs, log } = options
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman migrate',
    poolSize: 2,
    // An index of a long queue takes its time.
    statementTimeoutMs: null,
    log,
  })
  try {
    await installQueue(database, jobs)
    await finishUpgrade(database)
  } finally {
    await database.close()
  }
}
