import { fromPrisma, type PrismaTransactionLike } from 'pg-boss'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { describePayloadError, JobError, type Job, type PayloadOf } from '../contract/index.ts'
import { asDb, openBoss, startBoss, type Envelope } from '../queue/boss.ts'
import { openDatabase } from '../queue/database.ts'

export interface JobsClientOptions {
  databaseUrl: string
  log: Logger
}

export interface JobsClient {
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Enqueues in the caller's transaction: the work exists if and only if that transaction commits.
   * Returns its id.
   * @throws JobError `payload_invalid`, before anything is written
   */
  enqueue<J extends Job>(tx: PrismaTransactionLike, job: J, payload: PayloadOf<J>): Promise<string>
}

/** All that a producer needs: it puts work into the queue, and neither schedules nor executes any. */
export function createJobsClient({ databaseUrl, log }: JobsClientOptions): JobsClient {
  // For what pg-boss reads of its own: which queues there are. Work is sent on the caller's connection.
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman client',
    poolSize: 1,
    log,
  })
  const boss = openBoss(asDb(database))
  boss.on('error', (error) => log.error({ err: error }, 'queue error'))
  return {
    async start() {
      await startBoss(boss)
    },
    async stop() {
      await boss.stop({ graceful: false, close: false })
      await database.close()
    },
    async enqueue(tx, job, payload) {
      const parsed = job.payload.safeParse(payload)
      if (!parsed.success) {
        throw new JobError('payload_invalid', describePayloadError(parsed.error), {
          retryable: false,
        })
      }
      const id = uuid()
      const envelope: Envelope = { payload, trigger: 'queue' }
      await boss.send(job.name, envelope, { id, db: fromPrisma(tx) })
      return id
    },
  }
}
