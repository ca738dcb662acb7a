import { fromPrisma, type PrismaTransactionLike } from 'pg-boss'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { describePayloadError, JobError, type Job, type PayloadOf } from '../contract/index.ts'
import { asDb, openBoss, startBoss, type Envelope } from '../queue/boss.ts'
import { openDatabase } from '../queue/database.ts'
import { takeApproval, type Approval } from './approval.ts'
import type { Request } from './controlJobs.ts'

export interface JobsClientOptions {
  databaseUrl: string
  log: Logger
}

/** All of it happens in the caller's transaction: if and only if that commits. */
export interface JobsClient {
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Enqueues a piece of work and returns its id.
   * @throws JobError `payload_invalid`, before anything is written
   */
  enqueue<J extends Job>(tx: PrismaTransactionLike, job: J, payload: PayloadOf<J>): Promise<string>
  /**
   * Enqueues a run that a person wants, now or, where another one is under way, after it.
   * @throws JobError `payload_invalid`, before anything is written
   */
  requestRun(
    tx: PrismaTransactionLike,
    job: Job,
    request: Request & { dryRun?: boolean; payload?: unknown },
  ): Promise<string>
  /**
   * Lets a run that its guard has blocked be made up for: once, within a day, and for no more rows than
   * were counted. The new run's id in the queue is in the answer.
   */
  approveRun(tx: PrismaTransactionLike, runId: string, request: Request): Promise<ApproveOutcome>
}

export type ApproveOutcome =
  | { kind: 'approved'; queueJobId: string; rows: number }
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' }

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

  async function send(
    tx: PrismaTransactionLike,
    name: string,
    envelope: Envelope,
  ): Promise<string> {
    const id = uuid()
    await boss.send(name, envelope, { id, db: fromPrisma(tx) })
    return id
  }

  return {
    async start() {
      await startBoss(boss)
    },
    async stop() {
      await boss.stop({ graceful: false, close: false })
      await database.close()
    },
    async enqueue(tx, job, payload) {
      checkPayload(job, payload)
      return await send(tx, job.name, { payload, trigger: 'queue' })
    },
    async requestRun(tx, job, { actor, reason, dryRun = false, payload = {} }) {
      checkPayload(job, payload)
      return await send(tx, job.name, { payload, trigger: 'manual', actor, reason, dryRun })
    },
    async approveRun(tx, runId, { actor, reason }) {
      const approval: Approval = await takeApproval(tx, runId, actor)
      if (approval.kind !== 'taken') return approval
      const { name, payload, rows } = approval
      const envelope: Envelope = { payload, trigger: 'manual', actor, reason, approvedRows: rows }
      return { kind: 'approved', queueJobId: await send(tx, name, envelope), rows }
    },
  }
}

function checkPayload(job: Job, payload: unknown): void {
  const parsed = job.payload.safeParse(payload)
  if (parsed.success) return
  throw new JobError('payload_invalid', describePayloadError(parsed.error), { retryable: false })
}
