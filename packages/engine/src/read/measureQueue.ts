import type { PrismaTransactionLike } from 'pg-boss'
import { IS_DEAD_LETTER } from '../store/deadLetterSql.ts'

export type QueueState = (typeof QUEUE_STATES)[number]
export const QUEUE_STATES = ['ready', 'delayed', 'active', 'deadLetter'] as const

/** How much work of a job is in a state. */
export interface QueueMeasure {
  name: string
  state: QueueState
  /** Exact up to MAX_MEASURED, which also stands for more. */
  count: number
  /**
   * How long the oldest has been in that state, in seconds: since it could have been taken, was taken, or was
   * given up. Null when there is none, and for what is delayed.
   */
  oldestSeconds: number | null
}

/** No more than so much is counted, so that a backlog of millions costs no more. */
export const MAX_MEASURED = 100_000

/** For metrics: a row for each job and state, also where there is nothing. One statement, on indexes. */
export async function measureQueue(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
  names: readonly string[],
): Promise<QueueMeasure[]> {
  const seconds = (from: string) => `extract(epoch from now() - ${from})::float8`
  const count = (where: string) =>
    `(select count(*)::int from (
        select from pgboss.job job where job.name = n.name and ${where} limit ${MAX_MEASURED}
      ) counted)`
  const waits = `job.state < 'active' and job.start_after`
  return await tx.$queryRawUnsafe<QueueMeasure[]>(
    `select n.name, measure.* from unnest($1::text[]) n(name)
     cross join lateral (values
       ('ready', ${count(`${waits} <= now()`)}, (
         select ${seconds('job.start_after')} from pgboss.job job
         where job.name = n.name and ${waits} <= now() order by job.start_after limit 1
       )),
       ('delayed', ${count(`${waits} > now()`)}, null),
       ('active', ${count(`job.state = 'active'`)}, (
         select max(${seconds('job.started_on')}) from (
           select started_on from pgboss.job job where job.name = n.name and job.state = 'active'
           limit ${MAX_MEASURED}
         ) job
       )),
       ('deadLetter', ${count(IS_DEAD_LETTER)}, (
         select max(${seconds('job.completed_on')}) from (
           select completed_on from pgboss.job job where job.name = n.name and ${IS_DEAD_LETTER}
           limit ${MAX_MEASURED}
         ) job
       ))
     ) as measure("state", "count", "oldestSeconds")`,
    names,
  )
}
