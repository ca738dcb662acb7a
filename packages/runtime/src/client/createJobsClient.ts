import { fromPrisma, type PrismaTransactionLike } from 'pg-boss'
import { v7 as uuid } from 'uuid'
import { JobError, type Job, type PayloadOf } from '../contract/index.ts'
import { openBoss, type Envelope } from '../queue/boss.ts'

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

/** All that a producer needs: it can put work into the queue, and neither schedule nor execute any. */
export function createJobsClient(options: {
  prisma: PrismaTransactionLike
  onError: (error: Error) => void
}): JobsClient {
  const boss = openBoss(fromPrisma(options.prisma))
  boss.on('error', options.onError)
  return {
    async start() {
      await boss.start()
    },
    stop: () => boss.stop({ graceful: false, close: false }),
    async enqueue(tx, job, payload) {
      const parsed = job.payload.safeParse(payload)
      if (!parsed.success) {
        throw new JobError('payload_invalid', `${job.name}: ${parsed.error.message}`, { retryable: false })
      }
      const id = uuid()
      const envelope: Envelope = { payload, trigger: 'queue' }
      await boss.send(job.name, envelope, { id, db: fromPrisma(tx) })
      return id
    },
  }
}
