import { setTimeout as delay } from 'node:timers/promises'
import type { HostLogger } from '../job/logger.ts'
import { withEngineJobs, type Job } from '../index.ts'
import { containedLog } from './containedLog.ts'
import { asDb, openBoss, startBoss } from './boss.ts'
import { openDatabase, type Connection } from './database.ts'
import { installQueue } from './queue.ts'

/**
 * Creates or upgrades the queue's own schema, and the queues of these jobs: a deploy step, beside the
 * Prisma migrations. Workers and producers start without the right to change a schema.
 */
export async function migrateQueue(options: {
  databaseUrl: string
  jobs: readonly Job[]
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
}): Promise<void> {
  const { databaseUrl, jobs } = options
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman migrate',
    poolSize: 2,
    // An index of a long queue takes its time.
    statementTimeoutMs: null,
    log: containedLog(options.log),
  })
  try {
    await installQueue(database, withEngineJobs(jobs))
    await finishUpgrade(database)
  } finally {
    await database.close()
  }
}

const LOOK_EVERY_MS = 200

/**
 * Builds the indexes that an upgrade of pg-boss's schema has only noted down. It would build them in the background,
 * while it is running and may migrate: a worker may not, so nobody else ever would.
 */
async function finishUpgrade(database: Connection): Promise<void> {
  if (!(await isUnfinished(database))) return
  const failures: Error[] = []
  const boss = openBoss(asDb(database), { migrate: true })
  boss.on('error', (error) => failures.push(error))
  await startBoss(boss)
  try {
    while (await isUnfinished(database)) {
      const [cause] = failures
      if (cause) {
        throw new Error('An index of the queue could not be built; migrate again', { cause })
      }
      await delay(LOOK_EVERY_MS)
    }
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
}

async function isUnfinished(database: Connection): Promise<boolean> {
  const { rows } = await database.query(
    `select from pgboss.bam where status <> 'completed' limit 1`,
  )
  return rows.length > 0
}
