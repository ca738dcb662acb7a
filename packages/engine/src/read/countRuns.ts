import { equalsInOrder } from '../database/equalsInOrder.ts'
import type { JobsReader } from './reader.ts'
import { isOutcomeCode, NOT_STARTED } from '../job/runOutcome.ts'

/**
 * Error codes that do not concern the job: a person cancelled the run, its guard blocked it, its worker gave it back, it
 * expired, or a service has refused more for now.
 */
export const NEUTRAL_CODES = [
  ...['cancelled', 'guard_blocked', 'drained', 'expired', 'rate_limited'],
] as const

/** The start of a run: by its worker's clock, but not later than its row. */
export const STARTED_AT = `least("startedAt", "createdAt")`
/** The end of a run, corrected in the same way. */
export const ENDED_AT = `case when isfinite("startedAt") then "endedAt" - greatest("startedAt" - "createdAt", interval '0') else "endedAt" end`

/** Runs that neither succeeded nor failed: cancelled, blocked by their guard, expired, or given back. */
const IS_STOPPED = `"errorCode" in (${NEUTRAL_CODES.filter(isOutcomeCode)
  .map((code) => `'${code}'`)
  .join(', ')})`
const OF_JOB = equalsInOrder('"name"', '$1::text')
const counted = (where: string) => `(count(*) filter (where ${where}))::int`
const BY_OUTCOME = `
  ${counted(`"status" = 'success'`)} as "success",
  ${counted(`"status" = 'failed' and not ${IS_STOPPED}`)} as "failed",
  ${counted(`"status" = 'failed' and ${IS_STOPPED}`)} as "stopped",
  ${counted(`"status" = 'running'`)} as "running"`

/**
 * Whether a run ended before its handler began, since its work had expired or was replaced. Its duration is not that of a run.
 */
const NEVER_RAN = `("errorCode" = 'expired' and "details" #>> '{error,message}' like '${NOT_STARTED}%') is true`

/** The number of a job's runs that started within a span of time, by outcome. */
export interface SpanOfRuns {
  name: string
  /** The start of the span, as ISO 8601 in UTC. */
  from: string
  success: number
  failed: number
  /** Cancelled, blocked by their guard, expired, or given back by their worker. */
  stopped: number
  running: number
  /** The stopped runs that were not started in time. */
  expired: number
}

/** Counts runs in the spans that begin at the given instants. Returns a row for each job and span with runs. */
export async function countRuns(
  reader: JobsReader,
  starts: readonly Date[],
  lengthMs: number,
): Promise<SpanOfRuns[]> {
  return await reader.rows<SpanOfRuns>({
    text: `select run.*, span as "from"
     from unnest($1::text[]::timestamptz[]) span
     cross join lateral (
       select "name", ${BY_OUTCOME}, ${counted(`"errorCode" = 'expired'`)} as "expired" from "JobRunAll"
       where "startedAt" >= span and "startedAt" < span + $2::float8 * interval '1 millisecond'
       group by "name"
     ) run`,
    values: [starts.map((start) => start.toISOString()), lengthMs],
  })
}

/** Between instants that a person has written, the duration may exceed any number. */
export const IS_FINITE = `isfinite("startedAt") and isfinite(coalesce("endedAt", "startedAt"))`
/** The duration of a run, if both instants are finite. */
export const MS = `extract(epoch from "endedAt" - "startedAt") * 1000`

/** A job's runs of an hour. */
export interface HourOfRuns {
  /** ISO 8601 in UTC. */
  hour: string
  runs: number
  success: number
  failed: number
  /** Cancelled, blocked by their guard, expired, or given back by their worker. */
  stopped: number
  running: number
}

/** Counts a job's runs by hours of UTC, the oldest first, without dry runs. If there are many, it counts only the latest. */
export async function tallyRunsByHour(
  reader: JobsReader,
  { name, from, maxRuns }: { name: string; from: Date; maxRuns: number },
): Promise<HourOfRuns[]> {
  return await reader.rows<HourOfRuns>({
    text: `
      select "hour", count(*)::int as "runs", ${BY_OUTCOME}
      from (
        select date_trunc('hour', "startedAt", 'UTC') as "hour", "status", "errorCode"
        from "JobRunAll"
        where ${OF_JOB} and "startedAt" >= $2::timestamptz and not "dryRun" and ${IS_FINITE}
        order by "name", "startedAt" desc, "id" desc limit $3::int
      ) run
      group by 1 order by 1`,
    values: [name, from.toISOString(), maxRuns],
  })
}

/** The start of a job's oldest run, as ISO 8601 in UTC. Null if there is none. */
export async function findOldestStart(reader: JobsReader, name: string): Promise<string | null> {
  const [oldest] = await reader.rows<{ at: string }>({
    text: `select "startedAt" as "at" from "JobRun" where ${OF_JOB} order by "name" desc, "startedAt", "id" limit 1`,
    values: [name],
  })
  return oldest?.at ?? null
}

export interface UsualDuration {
  p50Ms: number | null
  p95Ms: number | null
  /** The number of measured runs. */
  runs: number
}

/** Measures the last 1,000 ended runs of a job, without dry runs and runs that never started. */
export async function measureDuration(reader: JobsReader, name: string): Promise<UsualDuration> {
  const [duration] = await reader.rows<UsualDuration>({
    text: `select (percentile_cont(0.5) within group (order by ${MS}))::float8 as "p50Ms",
            (percentile_cont(0.95) within group (order by ${MS}))::float8 as "p95Ms", count(*)::int as "runs"
     from (
       select "startedAt", "endedAt", "errorCode", "details" from "JobRun"
       where ${OF_JOB} and "status" not in ('running', 'suspended') and not "dryRun" and ${IS_FINITE}
       order by "name", "startedAt" desc, "id" desc limit 1000
     ) run where not ${NEVER_RAN}`,
    values: [name],
  })
  return duration ?? { p50Ms: null, p95Ms: null, runs: 0 }
}
