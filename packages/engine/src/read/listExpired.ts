import { equalsInOrder } from '../store/equalsInOrder.ts'
import { NEVER_RAN } from './countRuns.ts'
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
}

const MAX_RUNS = 5_000
/** Among so many of all jobs that ended with this code it looks for the jobs. */
const MAX_EXPIRED = 20_000

/** Lists these jobs with what expired of the runs that started since an instant, those with most first. */
export async function listExpired(
  reader: JobsReader,
  names: readonly string[],
  from: Date,
): Promise<ExpiredWork[]> {
  return await reader.rows<ExpiredWork>({
    text: `
      with seen as materialized (
        select distinct "name" from (
          select "name" from "JobRun" where "errorCode" = 'expired' and "startedAt" >= $2::timestamptz
          order by "startedAt" desc, "id" desc limit ${MAX_EXPIRED}
        ) latest where "name" = any($1::text[])
      )
      select seen."name", recent."expired", recent."runs", recent."runs" >= ${MAX_RUNS} as "isCut", first.at as "since"
      from seen cross join lateral (
        select count(*)::int as "runs", (count(*) filter (where ${NEVER_RAN}))::int as "expired" from (
          select "errorCode", "details" from "JobRun"
          where ${equalsInOrder('"name"', 'seen."name"')} and "startedAt" >= $2::timestamptz and "status" <> 'running' and not "dryRun"
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
      where recent."expired" > 0
      order by recent."expired" desc, 1`,
    values: [names, from.toISOString()],
  })
}
