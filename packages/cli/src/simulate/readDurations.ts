import type { JobsReader } from '@roundsman/engine/client'

/** How long runs of a job take. */
export interface MeasuredDuration {
  name: string
  p95Ms: number
  runs: number
}

/** The latest runs that are measured. */
const MAX_RUNS = 500

/** For each job, the duration that 95 % of its last successful runs did not exceed. Jobs without any are missing. */
export async function readDurations(
  reader: JobsReader,
  names: readonly string[],
): Promise<MeasuredDuration[]> {
  // With `=`, PostgreSQL may go back through all jobs' runs until it has met enough of this one, which may have few or
  // none. Only the index by name and time avoids that, which `between` makes it take.
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
