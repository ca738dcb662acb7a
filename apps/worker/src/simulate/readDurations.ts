import type { PrismaClient } from '@roundsman/db'

/** How long runs of a job take. */
export interface MeasuredDuration {
  name: string
  p95Ms: number
  runs: number
}

/** Of so many, the latest. */
const MAX_RUNS = 500

/** How long 95 % of the last runs that succeeded took at most, for each job that has any. */
export async function readDurations(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  names: readonly string[],
): Promise<MeasuredDuration[]> {
  return await prisma.$queryRaw<MeasuredDuration[]>`
    select job.name, count(*)::int as "runs",
           (percentile_cont(0.95) within group (order by last.ms))::float8 as "p95Ms"
    from unnest(${[...names]}::text[]) job(name)
    cross join lateral (
      select extract(epoch from "endedAt" - "startedAt") * 1000 as ms
      from "JobRun"
      where "name" = job.name and "status" = 'success' and not "dryRun"
      order by "startedAt" desc, "id" desc limit ${MAX_RUNS}
    ) last
    group by job.name`
}
