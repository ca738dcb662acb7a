import { checkDate, checkTexts } from '../arguments/argument.ts'
import { checkHoursOfJobs } from '../arguments/queries.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText, thrownOf } from './bounded.ts'
import { ENDED_AT, NEUTRAL_CODES, STARTED_AT } from './countRuns.ts'
import type { JobsReader } from './reader.ts'

/** Whether a run says how its job does, where `$3` are NEUTRAL_CODES. */
export const IS_JUDGED = `"status" <> 'running' and not "dryRun" and ("errorCode" is null or "errorCode" <> all($3::text[]))`

/** How many of a job's runs failed, among those that succeeded or failed. */
export interface RunShare {
  runs: number
  failed: number
}

export interface RecentFailures extends RunShare {
  name: string
  /** When the first of these runs started, as ISO 8601 in UTC. */
  from: string
  /** Whether there are more runs since the given instant than were counted; the latest were. */
  isCut: boolean
  /** The most frequent error code, how many runs failed with it, and the last of these. */
  code: string
  withCode: number
  lastRunId: string
  /** When the last of these ended. */
  lastAt: string
  /** The class of its error and the first frame, as `TypeError at send (src/send.ts:3:4)`; empty when not known. */
  thrown: string
  /** How many runs have started since the last failure, and succeeded. */
  succeededSince: number
}

/** Runs to count of each job. More would not change the rate much. */
const MAX_RUNS = 5_000

/** By both conditions PostgreSQL expects few runs, and stops at the limit instead of sorting all of the span. */
const OF_FAILING = `${equalsInOrder('"name"', 'failing.name')} and "name" between failing.name and failing.name`

/** Lists the jobs with a failed run among those started since an instant, and how many failed. */
export async function listRecentFailures(
  reader: JobsReader,
  names: readonly string[],
  since: Date,
): Promise<RecentFailures[]> {
  // It counts runs only for jobs with a failure.
  return await reader.rows<RecentFailures>({
    text: `
      with failing as materialized (
        select job.name from unnest($1::text[]) as job(name) where exists (
          select from "JobRun"
          where "name" = job.name and "errorCode" is not null and "errorCode" <> all($3::text[]) and not "dryRun"
            and "startedAt" >= $2::timestamptz
        )
      )
      select failing.name, total."runs", total."failed", total."from", total."runs" >= ${MAX_RUNS} as "isCut",
             ${boundedText(`total."code"`)} as "code", total."withCode", total."succeededSince", last."id" as "lastRunId", last."endedAt" as "lastAt",
             ${thrownOf('last."details"')} as "thrown"
      from failing
      cross join lateral (
        select sum("count")::int as "runs", (sum("count") filter (where "code" is not null))::int as "failed",
               min("from") as "from", (array_agg("code" order by "count" desc, "code") filter (where "code" is not null))[1] as "code",
               (max("count") filter (where "code" is not null))::int as "withCode", sum("since")::int as "succeededSince"
        from (
          select "code", count(*) as "count", min(at) as "from",
                 count(*) filter (where "code" is null and at > "lastFailureAt") as "since"
          from (
            select "code", at, max(at) filter (where "code" is not null) over () as "lastFailureAt"
            from (
              select "errorCode" as "code", ${STARTED_AT} as at from "JobRun"
              where ${OF_FAILING} and "startedAt" >= $2::timestamptz and ${IS_JUDGED}
              order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
            ) latest
          ) run
          group by 1
        ) code
      ) total
      cross join lateral (
        select "id", ${ENDED_AT} as "endedAt", "details" from "JobRun"
        where ${OF_FAILING} and "startedAt" >= $2::timestamptz
          and "errorCode" is not null and "errorCode" = total."code" and not "dryRun"
        order by "name", "startedAt" desc, "id" desc limit 1
      ) last
      order by total."failed" desc, failing.name`,
    values: [checkTexts('names', names), checkDate('since', since).toISOString(), NEUTRAL_CODES],
  })
}

/** How many of a job's runs that started within an hour failed. */
export interface HourOfFailures extends RunShare {
  name: string
  /** When it began, as ISO 8601 in UTC. */
  hour: string
}

/** An hour's share of failures comes from its latest runs, at most so many. */
const MAX_RUNS_AN_HOUR = 30

/** Samples failures: a row for each job and hour in which runs have ended. */
export async function sampleFailures(
  reader: JobsReader,
  pairs: readonly { name: string; hour: Date }[],
): Promise<HourOfFailures[]> {
  const wanted = checkHoursOfJobs('pairs', pairs)
  return await reader.rows<HourOfFailures>({
    text: `
      select pair.name, pair.hour, run."runs", run."failed"
      from unnest($1::text[], $2::text[]::timestamptz[]) as pair(name, hour)
      cross join lateral (
        select count(*)::int as "runs", count("errorCode")::int as "failed"
        from (
          select "errorCode" from "JobRun"
          where ${equalsInOrder('"name"', 'pair.name')} and "startedAt" >= pair.hour
            and "startedAt" < pair.hour + interval '1 hour' and ${IS_JUDGED}
          order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS_AN_HOUR}
        ) latest
      ) run
      where run."runs" > 0`,
    values: [
      wanted.map(({ name }) => name),
      wanted.map(({ hour }) => hour.toISOString()),
      NEUTRAL_CODES,
    ],
  })
}
