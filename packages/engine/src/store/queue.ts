import type { PgBoss, QueueResult } from 'pg-boss'
import type { Logger } from '../job/logger.ts'
import type { Enqueue, TraceEnqueue } from '../job/enqueue.ts'
import type { Job } from '../job/defineJob.ts'
import { asDb, openBoss } from './boss.ts'
import type { Envelope } from './envelope.ts'
import type { Connection, Database } from './database.ts'
import { FIND_HOLDER_SQL, KEEP_DEAD_LETTERS_SQL, TAKE_DEAD_LETTER_SQL } from './deadLetterSql.ts'
import { createEnqueue } from './enqueueWork.ts'
import { holdersSql } from './findLocked.ts'
import { BACK_OFF_AFTER_LOSS, COST_NO_RETRY, COUNT_LOSS, COUNT_LOSS_ALONE } from './losses.ts'
import { createRebuilds } from './rebuilds.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import { sendWork, type WorkToSend } from './sendWork.ts'
import { expireSeconds } from './expireSeconds.ts'
import { hasSqlState, LOCK_NOT_AVAILABLE } from './sqlState.ts'
import { tryUntilFree } from './takeLocks.ts'
import { toColumn } from './toColumn.ts'
import { cancelAs } from './waitingSql.ts'
import type { Waker } from './waker.ts'

/** A piece of work that this worker has taken from the queue. */
export interface Delivery {
  workId: string
  name: string
  attempt: number
  envelope: Envelope
}

/** Why an attempt failed, as the queue's row has it. */
interface QueuedError {
  code: string
  message: string
}

export type DeliveryRef = Pick<Delivery, 'workId' | 'name' | 'attempt'>

/**
 * What follows an attempt that failed.
 *   retry      another attempt after the job's back-off, unless this was the last
 *   redeliver  another attempt at once, which costs none of the job's retries: the job is not to blame
 *   lost       as redeliver, and the loss of its worker counts: after two losses the work waits ever longer
 *   lostAlone  as lost, for a run that was alone in its process; after too many such losses, as giveUp
 *   giveUp     nothing, since another attempt cannot help: the work is a dead letter
 *   drop       nothing, and no dead letter: nobody wants the work any more
 */
export type AfterFailure = 'retry' | 'redeliver' | 'lost' | 'lostAlone' | 'giveUp' | 'drop'

export type TakenDeadLetter =
  | { kind: 'taken'; delivery: Delivery }
  /** Work with its unique key waits or runs. */
  | { kind: 'alreadyQueued'; workId: string }
  /** The job has no dead letter with this id. */
  | { kind: 'notFound' }

export interface Queue {
  start(jobs: readonly Job[]): Promise<void>
  stop(): Promise<void>
  /** Enqueues work of any jobs in the caller's transaction; throws QueueMissingError. */
  sendAll(tx: Connection, work: readonly WorkToSend[]): Promise<void>
  /** Takes a dead letter for a single further attempt. */
  takeDeadLetter(tx: Connection, job: Job, workId: string): Promise<TakenDeadLetter>
  /** Enqueues in a handler's own transaction. */
  enqueue: Enqueue<HostTransaction>
  /**
   * Ends attempts of one job that did not succeed, with one error for all or one for each. It leaves work alone that the
   * queue has given out again since.
   */
  fail(
    tx: Connection,
    deliveries: readonly DeliveryRef[],
    errors: QueuedError | readonly QueuedError[],
    next: AfterFailure,
  ): Promise<void>
}

export interface QueueOptions {
  database: Database
  waker: Waker
  log: Logger
  /**
   * Makes this process do pg-boss's maintenance: expiry, retention, indexes. Default: another process does.
   */
  supervise?: { openPatient: () => Database }
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/**
 * Opens the queue through pg-boss, on the engine's own connections. With `supervise` it also has pg-boss maintain its
 * tables.
 */
export function createQueue({
  database,
  waker,
  log,
  supervise,
  traceEnqueue,
}: QueueOptions): Queue {
  const rebuilds = supervise && createRebuilds(supervise.openPatient)
  const db = rebuilds ? rebuilds.around(asDb(database)) : asDb(database)
  const boss = openBoss(db, database.schema, { supervise: supervise !== undefined })
  boss.on('error', (error) => {
    if (!hasSqlState(error, LOCK_NOT_AVAILABLE)) log.error({ err: error }, 'queue error')
    else log.warn({ err: error }, 'the queue is not maintained while others have locked its rows')
  })
  let isStopped = false
  boss.on('warning', (warning) => log.warn({ warning }, 'queue warning'))

  /** A queue that somebody has locked keeps its settings until it is free: they matter less than that the worker starts. */
  async function updateLater({ name }: Job, update: () => Promise<void>): Promise<void> {
    const { rows: heldBy } = await database
      .query(holdersSql('pgboss.queue'), [name])
      .catch(() => ({ rows: [] }))
    log.warn(
      { name, heldBy },
      "another transaction holds the queue's row in pgboss.queue: its settings are updated once that ends",
    )
    const endIfStopped = (error: Error) => {
      if (isStopped) throw error
    }
    await tryUntilFree(update, endIfStopped).catch((error: unknown) => {
      if (!isStopped) log.error({ err: error, name }, "the queue's settings could not be updated")
    })
  }

  return {
    async start(jobs) {
      await boss.start()
      await declareQueues(boss, jobs, (job, update) => void updateLater(job, update))
    },
    async stop() {
      isStopped = true
      await boss.stop({ graceful: false, close: false })
      await rebuilds?.stop()
    },
    async sendAll(tx, work) {
      if (work.length > 0) await sendWork(tx, work)
    },
    async takeDeadLetter(tx, job, workId) {
      const letter = [job.name, workId]
      const taken = await tx.query<QueueRow>(TAKE_DEAD_LETTER_SQL, [...letter, expireSeconds(job)])
      if (taken.rows[0]) return { kind: 'taken', delivery: toDelivery(taken.rows[0]) }
      const { rows } = await tx.query<{ id: string }>(FIND_HOLDER_SQL, letter)
      return rows[0] ? { kind: 'alreadyQueued', workId: rows[0].id } : { kind: 'notFound' }
    },
    enqueue: createEnqueue({ waker, log, traceEnqueue }, database.schema),
    async fail(tx, deliveries, errors, next) {
      const [first] = deliveries
      const outputs = [errors].flat().map((error) => JSON.stringify(error))
      const [output] = outputs
      if (!first || output === undefined) return
      if (next === 'drop') {
        await tx.query(DROP_SQL, [first.name, ...toColumns(deliveries), output])
        return
      }
      const attempts = deliveries.map(toAttempt)
      const adjust = async (assignment: string, state: string) =>
        tx.query(
          `update pgboss.job set ${assignment} from ${ATTEMPTS_SQL} and job.state = '${state}'`,
          [first.name, ...toColumns(deliveries)],
        )
      // pg-boss decides between retry and failed by retry_limit alone, so set that first.
      if (next === 'giveUp') await adjust('retry_limit = job.retry_count', 'active')
      if (next === 'redeliver') await adjust(COST_NO_RETRY, 'active')
      if (next === 'lost') await adjust(COUNT_LOSS, 'active')
      if (next === 'lostAlone') await adjust(COUNT_LOSS_ALONE, 'active')
      await boss.fail(first.name, attempts, JSON.parse(output) as object, { db: asDb(tx) })
      // pg-boss writes one error for all.
      if (outputs.some((other) => other !== output))
        await tx.query(TELL_APART_SQL, [first.name, ...toColumns(deliveries), toColumn(outputs)])
      if (next === 'redeliver') await adjust('start_after = now()', 'retry')
      if (next === 'lost' || next === 'lostAlone') await adjust(BACK_OFF_AFTER_LOSS, 'retry')
      if (next !== 'redeliver' && next !== 'lost')
        await tx.query(KEEP_DEAD_LETTERS_SQL, [first.name, attempts.map(({ id }) => id)])
    },
  }
}

/** Joins `job` with the attempts. The retry count leaves work out that the queue has given out again since. */
const ATTEMPTS_SQL = `
  unnest($2::uuid[], $3::int[]) attempt(id, retry_count)
  where job.name = $1 and job.id = attempt.id and job.retry_count = attempt.retry_count`

const DROP_SQL = `
  update pgboss.job job set ${cancelAs('$4::jsonb')}
  from pgboss.queue queue, ${ATTEMPTS_SQL} and job.state = 'active' and queue.name = $1`

const TELL_APART_SQL = `
  update pgboss.job job set output = attempt.output
  from unnest($2::uuid[], $3::int[], $4::jsonb[]) attempt(id, retry_count, output)
  where job.name = $1 and job.id = attempt.id and job.retry_count = attempt.retry_count
    and job.state in ('retry', 'failed')`

const TEN_YEARS_S = 10 * 365 * 86_400

/**
 * Makes the queues of jobs that have none, and updates those whose settings differ. `onLocked` gets an update for which
 * somebody has locked the row. Default: it throws.
 */
export async function declareQueues(
  boss: PgBoss,
  jobs: readonly Job[],
  onLocked?: (job: Job, update: () => Promise<void>) => void,
): Promise<void> {
  const queues = await boss.getQueues(jobs.map(({ name }) => name))
  const existing = new Map(queues.map((queue) => [queue.name, queue]))
  for (const job of jobs) {
    const options = {
      // pg-boss would notify in the transaction that enqueues, whose commit then waits for all others that notify.
      notify: false,
      retryLimit: job.retry.limit,
      retryDelay: Math.max(1, Math.round(job.retry.delayMs / 1000)),
      retryBackoff: true,
      retryDelayMax: Math.max(1, Math.round(job.retry.maxDelayMs / 1000)),
      // How long work may wait. By default pg-boss silently removes work that nobody took for two weeks.
      retentionSeconds: TEN_YEARS_S,
      expireInSeconds: expireSeconds(job),
    }
    const queue = existing.get(job.name)
    if (queue === undefined) await boss.createQueue(job.name, options)
    else if (differs(queue, options)) {
      const update = () => boss.updateQueue(job.name, options)
      try {
        await update()
      } catch (error) {
        if (onLocked === undefined || !hasSqlState(error, LOCK_NOT_AVAILABLE)) throw error
        onLocked(job, update)
      }
    }
  }
}

function differs(queue: QueueResult, options: Partial<QueueResult>): boolean {
  return Object.entries(options).some(([name, value]) => queue[name as keyof QueueResult] !== value)
}

interface QueueRow {
  [column: string]: unknown
  id: string
  name: string
  data: Envelope
  retryCount: number
}

function toDelivery(job: QueueRow): Delivery {
  return {
    workId: job.id,
    name: job.name,
    attempt: job.retryCount + 1,
    envelope: job.data,
  }
}

function toColumns(deliveries: readonly DeliveryRef[]): unknown[] {
  return [
    toColumn(deliveries.map(({ workId }) => workId)),
    toColumn(deliveries.map(({ attempt }) => attempt - 1)),
  ]
}

function toAttempt({ workId, attempt }: DeliveryRef): { id: string; retryCount: number } {
  return { id: workId, retryCount: attempt - 1 }
}
