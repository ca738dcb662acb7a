import type { PrismaTransactionLike } from 'pg-boss'
import type { Job } from '../index.ts'
import { IS_DEAD_LETTER } from '../store/deadLetterSql.ts'
import { HOLDS_KEY } from '../store/uniqueKeys.ts'

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
  // What is completed has left the queue, and its run remains. One statement sees both at the same moment.
  const rows = await tx.$queryRawUnsafe<QueueRow[]>(
    `select id::text as "id", state::text as "state", start_after as "startAfter", left(output ->> 'code', 100) as "errorCode"
     from pgboss.job where name = $1 and id = any($2::uuid[])
     union all
     select run."queueJobId"::text, 'completed', run."endedAt", null
     from "JobRun" run
     where run."queueJobId" = any($2::uuid[]) and run."name" = $1 and run."status" = 'success'`,
    job.name,
    queueJobIds,
  )
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
    `select id::text as "id", state::text as "state", start_after as "startAfter", null as "errorCode"
     from pgboss.job where name = $1 and singleton_key = $2 and ${HOLDS_KEY}
     union all (
       select job.id::text, job.state::text, job.start_after, coalesce(left(job.output ->> 'code', 100), 'expired')
       from pgboss.job job
       where ${IS_DEAD_LETTER} and job.completed_on >= $3::timestamptz and job.name = $1 and job.singleton_key = $2
       order by job.completed_on desc limit 1
     )
     order by "errorCode" nulls first limit 1`,
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
