import type { PrismaClient } from '@roundsman/db'

export interface QueuedWork {
  id: string
  name: string
  state: string
  data: Record<string, unknown>
}

/** Lists all work in the queue, as workers will find it. */
export function listQueue(prisma: PrismaClient): Promise<QueuedWork[]> {
  return prisma.$queryRaw`
    select id::text, name, state::text, data from pgboss.job order by created_on, id`
}
