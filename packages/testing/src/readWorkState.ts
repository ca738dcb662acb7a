import type { PrismaClient } from '@roundsman/db'

/** Where a piece of work is: it waits, is to be retried, runs, or is a dead letter. Undefined once it is over. */
export async function readWorkState(
  prisma: PrismaClient,
  workId: string,
): Promise<'created' | 'retry' | 'active' | 'failed' | undefined> {
  const [found] = await prisma.$queryRaw<{ state: 'created' | 'retry' | 'active' | 'failed' }[]>`
    select case when "attempt" > 1 then 'retry' else 'created' end as "state" from "JobWork" where "id" = ${workId}::uuid
    union all select 'failed' from "JobDeadLetter" where "id" = ${workId}::uuid
    union all
    select 'active' from "JobClaim" claim cross join unnest(claim."runIds", claim."workIds") held("runId", "workId")
    where coalesce(held."workId", held."runId") = ${workId}::uuid
      and coalesce((select "status" = 'running' from "JobRun" where "id" = held."runId"), true)`
  return found?.state
}
