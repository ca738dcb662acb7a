import type { Reader } from '@roundsman/engine/client'

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
  reader: Reader,
  names: readonly string[],
): Promise<MeasuredDuration[]> {
  // With `=`, PostgreSQL may go back through everybody's runs until it has met enough of this job, which may be
  // seldom or have none. Only the index of names lists them by name and then by time.
  return await reader.rows<MeasuredDuration>({
    text: `
    select job.name, count(*)::int as "runs",
           (percentile_cont(0.95) within group (order by last.ms))::float8 as "p95Ms"
    from unnest($1::text[]) job(name)
    cross join lateral (
      select extract(epoch from "endedAt" - "startedAt") * 1000 as ms
      from "JobRun"
      where "name" between job.name and job.name and "status" = 'success' and not "dryRun"
      order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
    ) last
    group by job.name`,
    values: [names],
  })
}
