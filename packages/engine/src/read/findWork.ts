import type { Job } from '../index.ts'
import type { PrismaTransactionLike } from '../store/inTransaction.ts'
import { FIND_ENQUEUED_AT_SQL, FIND_WORK_BY_KEY_SQL, FIND_WORK_SQL } from '../store/queueSql.ts'

/** Where a piece of work stands. */
export type WorkState =
  /** Not started, or to be retried, at the earliest at `startAfter`. */
  | { kind: 'waiting'; startAfter: Date }
  | { kind: 'running' }
  | { kind: 'completed' }
  /** Given up; see dead letters. */
  | { kind: 'failed'; errorCode: string }

/** Null when nobody knows it, or knows it no more: completed work is known as long as its run is kept. */
export async function findWork(
  tx: PrismaTransactionLike,
  job: Pick<Job, 'name'>,
  queueJobId: string,
): Promise<WorkState | null> {
  return (await findManyWork(tx, job, [queueJobId])).get(queueJobId) ?? null
}

/** The same of many, with one statement: what the queue does not know is not among them. */
export async function findManyWork(
  tx: PrismaTransactionLike,
  job: Pick<Job, 'name'>,
  queueJobIds: readonly string[],
): Promise<Map<string, WorkState>> {
  if (queueJobIds.length === 0) return new Map()
  const rows = await tx.$queryRawUnsafe<QueueRow[]>(FIND_WORK_SQL, job.name, queueJobIds)
  return new Map(rows.map((row) => [row.id, toWorkState(row)]))
}

/**
 * Work that holds a unique key; where none does, the last that was given up with it since an instant. Null when there
 * is neither: it was completed, or discarded, or never enqueued.
 */
export async function findWorkByKey(
  tx: PrismaTransactionLike,
  job: Pick<Job, 'name'>,
  uniqueKey: string,
  failedSince: Date,
): Promise<WorkState | null> {
  const [row] = await tx.$queryRawUnsafe<QueueRow[]>(
    FIND_WORK_BY_KEY_SQL,
    job.name,
    uniqueKey,
    failedSince.toISOString(),
  )
  return row === undefined ? null : toWorkState(row)
}

interface QueueRow {
  id: string
  state: string
  startAfter: Date
  errorCode: string | null
}

function toWorkState({ state, startAfter, errorCode }: QueueRow): WorkState {
  switch (state) {
    case 'created':
    case 'retry':
      return { kind: 'waiting', startAfter }
    case 'active':
      return { kind: 'running' }
    case 'completed':
      return { kind: 'completed' }
    default:
      return { kind: 'failed', errorCode: errorCode ?? 'expired' }
  }
}

/**
 * When a piece of work was put into the queue. What is completed has left it; then the id tells, to the
 * millisecond, by the clock of whoever enqueued it. Null when that is not one of ours.
 */
export async function findEnqueuedAt(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
  name: string,
  queueJobId: string,
): Promise<Date | null> {
  const [found] = await tx.$queryRawUnsafe<{ enqueuedAt: Date }[]>(
    FIND_ENQUEUED_AT_SQL,
    name,
    queueJobId,
  )
  return found?.enqueuedAt ?? readTime(queueJobId)
}

/** RFC 9562: version 7 begins with 48 bits of milliseconds. */
function readTime(id: string): Date | null {
  const digits = id.replaceAll('-', '')
  return digits[12] === '7' ? new Date(Number.parseInt(digits.slice(0, 12), 16)) : null
}
