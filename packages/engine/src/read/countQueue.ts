import type { PrismaTransactionLike } from '../store/inTransaction.ts'
import { COUNT_QUEUE_SQL } from '../store/queueSql.ts'

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

/** How each job stands. What is completed is not read. */
export async function countQueue(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
  names: readonly string[],
): Promise<QueueCounts[]> {
  return await tx.$queryRawUnsafe<QueueCounts[]>(COUNT_QUEUE_SQL, names)
}
