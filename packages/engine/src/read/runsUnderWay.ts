import { equalsInOrder } from '../database/equalsInOrder.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { boundedText } from './bounded.ts'
import { IS_FINITE, MS } from './countRuns.ts'
import { progressOf } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'

/** A worker's runs of one job that are under way. */
export interface LanesInUse {
  workerId: string
  name: string
  count: number
  /** The first started run: its id, its label, its start as ISO 8601 in UTC, and its progress. */
  oldestRunId: string
  oldestLabel: string | null
  oldestStartedAt: string
  progress: unknown
}

/** The duration of nearly all of the job's last successful runs, and their average. Null if none succeeded. */
export const usualOf = (name: string) => `(
  select percentile_cont(0.95) within group (order by run."ms")::float8 as "ms", avg(run."ms")::float8 as "meanMs"
  from (
    select ${MS} as "ms" from "JobRun"
    where ${equalsInOrder('"name"', name)} and "status" = 'success' and ${IS_FINITE}
    order by "name", "startedAt" desc, "id" desc limit 100
  ) run
)`

/** Maximum of rows that a call returns. */
const MAX_LISTED = 500
const MAX_OVERRUNNING = 100

/** Lists the lanes in use, the first started first. */
export async function listLanesInUse(reader: JobsReader): Promise<LanesInUse[]> {
  return await reader.rows<LanesInUse>({
    text: `
    with lanes as materialized (
      select distinct on (run."workerId", run."name")
             run."workerId", run."name", (count(*) over (partition by run."workerId", run."name"))::int as "count",
             run."id" as "oldestRunId", run."startedAt" as "oldestStartedAt", ${progressOf('run')} as "progress"
      from ${RUNS_UNDER_WAY}
      order by run."workerId", run."name", run."startedAt", run."id"
    )
    select ${boundedText('lanes."workerId"')} as "workerId", lanes."name", lanes."count", lanes."oldestRunId",
           ${boundedText('oldest."label"')} as "oldestLabel", lanes."oldestStartedAt", lanes."progress"
    from lanes
    left join lateral (
      select run."label" from "JobRunAll" run where run."id" = lanes."oldestRunId" limit 1
    ) oldest on true
    order by lanes."oldestStartedAt", lanes."name" limit ${MAX_LISTED}`,
  })
}

/** Lists each job's longest running run, if it started before the instant given for that job. */
export async function listOverrunning(
  reader: JobsReader,
  limits: readonly { name: string; before: Date }[],
): Promise<{ name: string; runId: string; workerId: string; since: string }[]> {
  return await reader.rows<{ name: string; runId: string; workerId: string; since: string }>({
    text: `select * from (
       select distinct on (run."name") run."name", run."id" as "runId", ${boundedText('run."workerId"')} as "workerId", run."startedAt" as "since"
       from ${RUNS_UNDER_WAY} join unnest($1::text[], $2::text[]::timestamptz[]) as job(name, before) on job.name = run."name"
       where run."startedAt" < job.before
       order by run."name", run."startedAt", run."id"
     ) oldest order by "since" limit ${MAX_OVERRUNNING}`,
    values: [limits.map(({ name }) => name), limits.map(({ before }) => before.toISOString())],
  })
}
