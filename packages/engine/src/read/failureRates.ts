import { boundedText } from './bounded.ts'
import type { Reader, Statement } from './reader.ts'

/**
 * Ends that say nothing about the job: somebody stopped it, its guard asked first, its worker gave it back, or its time was
 * over.
 */
export const NEUTRAL_CODES = ['cancelled', 'guard_blocked', 'drained', 'expired'] as const

/** What a job's runs came to, of those that succeeded or failed. */
export interface RunShare {
  runs: number
  failed: number
}

export interface RecentFailures extends RunShare {
  name: string
  /** When the first of these runs started, as ISO 8601 in UTC. */
  from: string
  /** Whether there were more since the instant that was asked for than are counted: the latest are. */
  isCut: boolean
  /** What most of them failed with, how many did, and the last of these. */
  code: string
  withCode: number
  lastRunId: string
  /** When the last of these ended. */
  lastAt: string
  message: string
}

/** Of each job. More than these are a rate that needs no further digits. */
const MAX_RUNS = 5_000

/** The jobs of which a run that started since an instant has failed, with how many did. */
export async function listRecentFailures(
  reader: Reader,
  names: readonly string[],
  since: Date,
): Promise<RecentFailures[]> {
  return await reader.rows<RecentFailures>(recentFailuresQuery(names, since))
}

/** What `listRecentFailures` sends; apart, so that its plan can be looked at. */
export function recentFailuresQuery(names: readonly string[], since: Date): Statement {
  // Only jobs with a failure have their runs counted. `between` for the reason that recentRunsQuery gives.
  return {
    text: `
      with failing as materialized (
        select job.name from unnest($1::text[]) as job(name) where exists (
          select from "JobRun"
          where "name" = job.name and "errorCode" is not null and "errorCode" <> all($3::text[]) and not "dryRun"
            and "startedAt" >= $2::timestamptz
        )
      )
      select failing.name, total."runs", total."failed", total."from", total."runs" >= ${MAX_RUNS} as "isCut",
             ${boundedText(`total."code"`)} as "code", total."withCode", last."id" as "lastRunId", last."endedAt" as "lastAt",
             ${boundedText(`coalesce(last."details" #>> '{error,message}', '')`)} as "message"
      from failing
      cross join lateral (
        select sum("count")::int as "runs", (sum("count") filter (where "code" is not null))::int as "failed",
               min("from") as "from", (array_agg("code" order by "count" desc, "code") filter (where "code" is not null))[1] as "code",
               (max("count") filter (where "code" is not null))::int as "withCode"
        from (
          select "code", count(*) as "count", min("startedAt") as "from"
          from (
            select "errorCode" as "code", "startedAt" from "JobRun"
            where "name" between failing.name and failing.name and "startedAt" >= $2::timestamptz
              and "status" <> 'running' and not "dryRun" and ("errorCode" is null or "errorCode" <> all($3::text[]))
            order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
          ) run
          group by 1
        ) code
      ) total
      cross join lateral (
        select "id", "endedAt", "details" from "JobRun"
        where "name" between failing.name and failing.name and "startedAt" >= $2::timestamptz
          and "errorCode" is not null and "errorCode" = total."code" and not "dryRun"
        order by "name", "startedAt" desc, "id" desc limit 1
      ) last
      order by total."failed" desc, failing.name`,
    values: [names, since.toISOString(), NEUTRAL_CODES],
  }
}

/** Runs of a job that started within an hour. */
export interface HourOfFailures extends RunShare {
  name: string
  /** When it began, as ISO 8601 in UTC. */
  hour: string
}

/** The latest of an hour, from which its share of failures is taken. */
const MAX_RUNS_AN_HOUR = 30

/** A row for each pair of a job and an hour, as far as runs of it have ended. */
export async function sampleFailures(
  reader: Reader,
  pairs: readonly { name: string; hour: Date }[],
): Promise<HourOfFailures[]> {
  return await reader.rows<HourOfFailures>(
    sampleFailuresQuery(
      pairs.map(({ name }) => name),
      pairs.map(({ hour }) => hour),
    ),
  )
}

/** What `sampleFailures` sends; apart, so that its plan can be looked at. */
export function sampleFailuresQuery(names: readonly string[], hours: readonly Date[]): Statement {
  return {
    text: `
      select pair.name, pair.hour, run."runs", run."failed"
      from unnest($1::text[], $2::text[]::timestamptz[]) as pair(name, hour)
      cross join lateral (
        select count(*)::int as "runs", count("errorCode")::int as "failed"
        from (
          select "errorCode" from "JobRun"
          where "name" between pair.name and pair.name and "startedAt" >= pair.hour
            and "startedAt" < pair.hour + interval '1 hour' and "status" <> 'running' and not "dryRun"
            and ("errorCode" is null or "errorCode" <> all($3::text[]))
          order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS_AN_HOUR}
        ) latest
      ) run
      where run."runs" > 0`,
    values: [names, hours.map((hour) => hour.toISOString()), NEUTRAL_CODES],
  }
}
