import { fromPrisma, type Db, type PgBoss, type PrismaTransactionLike } from 'pg-boss'
import { v7 as uuid } from 'uuid'
import {
  describePayloadError,
  JobError,
  type Enqueue,
  type EnqueueOptions,
  type EnqueueResult,
  type Job,
  type TraceContext,
  type TraceEnqueue,
} from '../contract/index.ts'
import type { Envelope } from './boss.ts'
import { inTransaction } from './inTransaction.ts'

export interface NewWork {
  envelope: Envelope
  options?: EnqueueOptions | undefined
}

/** pg-boss knows no queues of these names in this database. */
export class QueueMissingError extends Error {
  override readonly name = 'QueueMissingError'
  readonly jobs: readonly string[]

  constructor(jobs: readonly string[], options?: ErrorOptions) {
    super(
      `The queue of ${jobs.join(', ')} is missing in this database: a worker that knows the job creates it when it starts`,
      options,
    )
    this.jobs = jobs
  }
}

/**
 * Puts work of one job into the queue, in the transaction of whoever asks: any number of pieces with one
 * statement, and two more when some have unique keys. Given a client, only the latter need a transaction.
 * @throws JobError `payload_invalid`, before anything is written
 * @throws QueueMissingError when no worker has declared this job's queue yet
 */
export async function enqueueWork(
  boss: PgBoss,
  tx: PrismaTransactionLike,
  job: Pick<Job, 'name' | 'payload'>,
  work: readonly NewWork[],
  traceEnqueue?: TraceEnqueue,
): Promise<EnqueueResult[]> {
  const hasKeys = work.some(({ options }) => options?.uniqueKey !== undefined)
  const put = (trace?: TraceContext) =>
    hasKeys
      ? inTransaction(tx, (inner) => putWork(boss, fromPrisma(inner), job, work, trace))
      : putWork(boss, fromPrisma(tx), job, work, trace)
  if (traceEnqueue === undefined) return await put()
  return await traceEnqueue({ name: job.name, count: work.length }, put)
}

async function putWork(
  boss: PgBoss,
  db: Db,
  job: Pick<Job, 'name' | 'payload'>,
  work: readonly NewWork[],
  trace?: TraceContext,
): Promise<EnqueueResult[]> {
  for (const { envelope, options } of work) {
    checkPayload(job, envelope.payload)
    checkOptions(options)
  }
  const held = await holdKeys(db, job.name, work)
  const results: EnqueueResult[] = []
  const inserts: Parameters<PgBoss['insert']>[1] = []
  for (const { envelope, options = {} } of work) {
    const { startAfter, priority, uniqueKey } = options
    const holder = uniqueKey === undefined ? undefined : held.get(uniqueKey)
    if (holder !== undefined) {
      results.push({ kind: 'alreadyQueued', queueJobId: holder })
      continue
    }
    const id = uuid()
    // Also between two pieces of this call.
    if (uniqueKey !== undefined) held.set(uniqueKey, id)
    results.push({ kind: 'enqueued', queueJobId: id })
    inserts.push({
      id,
      data: trace === undefined ? envelope : { ...envelope, trace },
      ...(startAfter && { startAfter }),
      ...(priority !== undefined && { priority }),
      ...(uniqueKey !== undefined && { singletonKey: uniqueKey }),
    })
  }
  if (inserts.length === 0) return results
  try {
    await boss.insert(job.name, inserts, { db })
  } catch (error) {
    if (!(error instanceof Error && /^Queue .* does not exist$/.test(error.message))) throw error
    throw new QueueMissingError([job.name], { cause: error })
  }
  return results
}

/** The same for a single piece. */
export async function enqueueOne(
  boss: PgBoss,
  tx: PrismaTransactionLike,
  job: Pick<Job, 'name' | 'payload'>,
  work: NewWork,
  traceEnqueue?: TraceEnqueue,
): Promise<EnqueueResult> {
  const [result] = await enqueueWork(boss, tx, job, [work], traceEnqueue)
  if (result === undefined) throw new Error('Nothing was enqueued')
  return result
}

/** For programs, which enqueue by Prisma, most often in a transaction: a request's, or a run's own. */
export function createEnqueue(
  boss: PgBoss,
  traceEnqueue?: TraceEnqueue,
): Enqueue<PrismaTransactionLike> {
  return async (tx, job, payload, options) => {
    const envelope: Envelope = { payload, trigger: 'queue' }
    return await enqueueOne(boss, tx, job, { envelope, options }, traceEnqueue)
  }
}

/** Of each key that is held, by which work. Until the transaction ends, nobody else enqueues any of them. */
async function holdKeys(
  db: Db,
  name: string,
  work: readonly NewWork[],
): Promise<Map<string, string>> {
  const keys = new Set(work.flatMap(({ options }) => options?.uniqueKey ?? []))
  if (keys.size === 0) return new Map()
  // Always in the same order: two transactions with the same keys must not wait for each other.
  await db.executeSql(
    `select pg_advisory_xact_lock(key)::text
     from (select distinct hashtextextended($1 || ' ' || key, 1) as key from unnest($2::text[]) key order by 1) k`,
    [name, [...keys]],
  )
  const { rows } = await db.executeSql(
    `select id::text as id, singleton_key as key from pgboss.job
     where name = $1 and singleton_key = any($2) and state < 'active'
     union all
     select id::text as id, singleton_key as key from pgboss.job
     where name = $1 and singleton_key = any($2) and state = 'active'`,
    [name, [...keys]],
  )
  return new Map(rows.map(({ id, key }) => [key, id]))
}

/** What the database would refuse only in the middle of the caller's transaction. */
function checkOptions({ priority, startAfter, uniqueKey }: EnqueueOptions = {}): void {
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) < 2 ** 31)) {
    throw new TypeError(`priority must be a whole number of 32 bits, not ${priority}`)
  }
  if (startAfter !== undefined && Number.isNaN(startAfter.getTime())) {
    throw new TypeError('startAfter must be a valid date')
  }
  if (uniqueKey !== undefined && !/^[^\0]{1,255}$/su.test(uniqueKey)) {
    throw new TypeError('uniqueKey must have 1 to 255 characters')
  }
}

function checkPayload(job: Pick<Job, 'payload'>, payload: unknown): void {
  const parsed = job.payload.safeParse(payload)
  if (parsed.success) return
  throw new JobError('payload_invalid', describePayloadError(parsed.error), {
    retryable: false,
    details: {
      issues: parsed.error.issues.map(({ path, code, message }) => ({
        path: path.map(String),
        code: code ?? 'custom',
        message,
      })),
    },
  })
}
