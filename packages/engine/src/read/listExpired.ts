import { equalsInOrder } from '../store/equalsInOrder.ts'
import { NEVER_RAN } from './countRuns.ts'
import type { RunShare } from './failureRates.ts'
import { HOUR } from './judgeRuns.ts'
import type { JobsReader } from './reader.ts'

/** A job of which work was not started by the time that it was to be started by. */
export interface ExpiredWork {
  name: string
  /** How many of these runs were not, among those that ended. */
  expired: number
  runs: number
  /** There are more runs since the given instant than were counted; the latest were. */
  isCut: boolean
  /** The first since which no hour has passed without; null where that is further back than was looked. */
  since: string | null
  /** Of how many runs of the week before yesterday so many were not; a sample, of which `failed` is what expired. Null when it had no runs. */
  usual: RunShare | null
}

const MAX_RUNS = 5_000
/** Among so many of all jobs that ended with this code it looks for the jobs. */
const MAX_EXPIRED = 20_000
/** How many runs of an hour to read. */
const OF_HOUR = 30

/** Lists these jobs with what expired of the runs that started within the hour, those with most first. */
export async function listExpired(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<ExpiredWork[]> {
  return await reader.rows<ExpiredWork>({
    text: `
      with seen as materialized (
        select distinct "name" from (
          select "name" from "JobRun" where "errorCode" = 'expired' and "startedAt" >= $2::timestamptz - interval '1 hour'
          order by "startedAt" desc, "id" desc limit ${MAX_EXPIRED}
        ) latest where "name" = any($1::text[])
      )
      select seen."name", recent."expired", recent."runs", recent."runs" >= ${MAX_RUNS} as "isCut", first.at as "since", usual."share" as "usual"
      from seen cross join lateral (
        select count(*)::int as "runs", (count(*) filter (where ${NEVER_RAN}))::int as "expired" from (
          select "errorCode", "details" from "JobRun"
          where ${equalsInOrder('"name"', 'seen."name"')} and "startedAt" >= $2::timestamptz - interval '1 hour' and "status" <> 'running' and not "dryRun"
          order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
        ) run
      ) recent
      cross join lateral (
        select max(at) filter (where "before" is null and "read" < ${MAX_RUNS} or "before" < at - interval '1 hour') as at from (
          select at, lag(at) over (order by at, nth desc) as "before", "read" from (
            select "startedAt" as at, row_number() over (order by "startedAt" desc, "id" desc) as nth, count(*) over () as "read", "errorCode", "details" from (
              select * from "JobRun" where ${equalsInOrder('"name"', 'seen."name"')} and "errorCode" is not null and not "dryRun"
              order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
            ) failed
          ) told where ${NEVER_RAN}
        ) expired
      ) first
      cross join lateral (
        select case when count(*) > 0 then jsonb_build_object('runs', count(*), 'failed', count(*) filter (where ${NEVER_RAN})) end as "share"
        from generate_series(0, 23) nth cross join lateral (
          select "errorCode", "details" from "JobRun"
          where ${equalsInOrder('"name"', 'seen."name"')} and "startedAt" >= ${HOUR} and "startedAt" < ${HOUR} + interval '1 hour'
            and "status" <> 'running' and not "dryRun"
          order by "name", "startedAt" desc, "id" desc limit ${OF_HOUR}
        ) run
      ) usual
      where recent."expired" > 0
      order by recent."expired" desc, 1`,
    values: [names, now.toISOString()],
  })
}
