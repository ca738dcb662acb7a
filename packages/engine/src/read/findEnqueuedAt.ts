import type { PrismaTransactionLike } from '../store/inTransaction.ts'
import { FIND_ENQUEUED_AT_SQL } from '../store/queueSql.ts'

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
