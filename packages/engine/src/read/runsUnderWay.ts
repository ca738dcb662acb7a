import { RUNS_UNDER_WAY } from '../store/starts.ts'
import { boundedText } from './bounded.ts'
import { progressOf } from './jobRuns.ts'
import type { Reader } from './reader.ts'

export interface RunUnderWay {
  id: string
  name: string
  /** ISO 8601 in UTC. */
  startedAt: string
  workerId: string
  progress: unknown
  /** What nearly all of the last runs of the job that succeeded took; null when none has. */
  usualMs: number | null
}

/** As many as one answer needs. */
const MAX_LISTED = 500
const MAX_OVERRUNNING = 100

/** Those that workers hold, the first to start first. `between` for the reason that recentRunsQuery gives. */
export async function listRunsUnderWay(reader: Reader): Promise<RunUnderWay[]> {
  return await reader.rows<RunUnderWay>({
    text: `
    select run."id", run."name", run."startedAt", ${boundedText('run."workerId"')} as "workerId",
           ${progressOf('run')} as "progress", usual."ms" as "usualMs"
    from ${RUNS_UNDER_WAY}
    left join lateral (
      select percentile_cont(0.95) within group (
               order by extract(epoch from past."endedAt" - past."startedAt") * 1000
             )::float8 as "ms"
      from (
        select "startedAt", "endedAt" from "JobRun"
        where "name" between run."name" and run."name" and "status" = 'success'
        order by "name", "startedAt" desc, "id" desc limit 100
      ) past
    ) usual on true
    order by run."startedAt" limit ${MAX_LISTED}`,
  })
}

/** Of each job the run that is under way for longest, if it started before an instant, which each job has its own. */
export async function listOverrunning(
  reader: Reader,
  limits: readonly { name: string; before: Date }[],
): Promise<{ name: string; since: string }[]> {
  return await reader.rows<{ name: string; since: string }>({
    text: `select run."name", min(run."startedAt") as "since"
     from ${RUNS_UNDER_WAY} join unnest($1::text[], $2::text[]::timestamptz[]) as job(name, before) on job.name = run."name"
     where run."startedAt" < job.before
     group by 1 order by 2 limit ${MAX_OVERRUNNING}`,
    values: [limits.map(({ name }) => name), limits.map(({ before }) => before.toISOString())],
  })
}
