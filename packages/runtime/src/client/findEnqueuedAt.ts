import type { PrismaTransactionLike } from 'pg-boss'

/** When a piece of work was put into the queue; null when the queue does not know it, or knows it no more. */
export async function findEnqueuedAt(
  tx: Pick<PrismaTransactionLike, '$queryRawUnsafe'>,
  name: string,
  queueJobId: string,
): Promise<Date | null> {
  const [found] = await tx.$queryRawUnsafe<{ enqueuedAt: Date }[]>(
    `select created_on as "enqueuedAt" from pgboss.job where name = $1 and id = $2::uuid`,
    name,
    queueJobId,
  )
  return found?.enqueuedAt ?? null
}
