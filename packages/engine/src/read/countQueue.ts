import type { PrismaTransactionLike } from 'pg-boss'
import { IS_DEAD_LETTER } from '../store/deadLetterSql.ts'

export interface QueueCounts {
  name: string
  /** Not taken yet. */
  waiting: number
  /** Of those: not to be taken yet, because it is delayed or to be retried later. */
  delayed: number
  active: number
  deadLetters: number
  /** Since when the one that waits longest could be taken. */
  oldestWaitingAt: Date | null
  /** When the first of the dead letters was given up. */
  oldestDeadLetterAt: Date | null
}

/** Reads what is not completed, by indexes that hold nothing else. */
export async function countQueue(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
  names: readonly string[],
): Promise<QueueCounts[]> {
  return await tx.$queryRawUnsafe<QueueCounts[]>(
    `select n.name,
            coalesce(waiting.count, 0)::int as "waiting", coalesce(waiting.delayed, 0)::int as "delayed",
            coalesce(active.count, 0)::int as "active", coalesce(dead.count, 0)::int as "deadLetters",
            waiting.oldest as "oldestWaitingAt", dead.oldest as "oldestDeadLetterAt"
     from unnest($1::text[]) n(name)
     left join lateral (
       select count(*) as count, count(*) filter (where job.start_after > now()) as delayed,
              min(job.start_after) filter (where job.start_after <= now()) as oldest
       from pgboss.job job where job.name = n.name and job.state < 'active'
     ) waiting on true
     left join lateral (
       select count(*) as count from pgboss.job job where job.name = n.name and job.state = 'active'
     ) active on true
     left join lateral (
       select count(*) as count, min(job.completed_on) as oldest
       from pgboss.job job where job.name = n.name and ${IS_DEAD_LETTER}
     ) dead on true`,
    names,
  )
}
