import type { TickOutcome } from '../index.ts'
import { boundedText } from './bounded.ts'
import type { RecentRun } from './recentRuns.ts'
import type { Reader, Statement } from './reader.ts'
import { runOutcome } from './runOutcome.ts'

/** A row of the tick ledger. Instants are ISO 8601 in UTC. */
export interface ListedJobTick {
  scheduledFor: string
  outcome: TickOutcome
  reason: string | null
  /** More than 1 in a row that stands for several ticks. */
  count: number
  /** The last of them. */
  through: string | null
  queueJobId: string | null
  createdAt: string
}

export interface ListJobTicksOptions {
  name: string
  /** Rows at most; positive. */
  limit: number
  /** Only ticks before this instant; ISO 8601. */
  before?: string | undefined
}

export interface JobTickPage {
  ticks: ListedJobTick[]
  /** The last of them, before which the next page begins; null when there is nothing more. */
  next: string | null
}

/** A job's rows of the tick ledger, newest first. Its instants are unique, so one is where a page is cut. */
export async function listJobTicks(
  reader: Reader,
  { name, limit, before }: ListJobTicksOptions,
): Promise<JobTickPage> {
  // One row more than asked for tells whether there is a next page.
  const rows = await reader.rows<ListedJobTick>({
    text: `
      select "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
             "queueJobId"::text as "queueJobId", "createdAt"
      from "JobTick" where "name" = $1 ${before === undefined ? '' : 'and "scheduledFor" < $3::timestamptz'}
      order by "scheduledFor" desc limit $2::int`,
    values: [name, limit + 1, ...(before === undefined ? [] : [before])],
  })
  const ticks = rows.slice(0, limit)
  const last = rows.length > ticks.length ? ticks.at(-1) : undefined
  return { ticks, next: last?.scheduledFor ?? null }
}

/** With the last attempt at what it has enqueued, when there is one. */
export interface RecentTick extends Pick<
  ListedJobTick,
  'scheduledFor' | 'outcome' | 'reason' | 'count'
> {
  name: string
  run: Pick<RecentRun, 'id' | 'status' | 'outcome' | 'startedAt' | 'endedAt'> | null
}

/** The newest ticks of each job, the latest first. */
export async function listRecentTicks(
  reader: Reader,
  names: readonly string[],
  limit: number,
): Promise<RecentTick[]> {
  const rows = await reader.rows<TickRow>(recentTicksQuery(names, limit))
  return rows.map(({ runId, runStatus, runErrorCode, runStartedAt, runEndedAt, ...tick }) => ({
    ...tick,
    run:
      runId && runStatus && runStartedAt
        ? {
            id: runId,
            status: runStatus,
            outcome: runOutcome({ status: runStatus, errorCode: runErrorCode }),
            startedAt: runStartedAt,
            endedAt: runEndedAt,
          }
        : null,
  }))
}

interface TickRow extends Omit<RecentTick, 'run'> {
  runId: string | null
  runStatus: RecentRun['status'] | null
  runErrorCode: string | null
  runStartedAt: string | null
  runEndedAt: string | null
}

/** What `listRecentTicks` sends; apart, so that its plan can be looked at. */
export function recentTicksQuery(names: readonly string[], limit: number): Statement {
  // With `=`, PostgreSQL may go back through everybody's ticks until it has met enough of this job, which
  // may be seldom or have none. Only the primary key lists them by name and then by time.
  return {
    text: `
      select tick."name", tick."scheduledFor", tick."outcome", tick."reason", tick."count", run."id" as "runId",
             run."status" as "runStatus", run."errorCode" as "runErrorCode", run."startedAt" as "runStartedAt", run."endedAt" as "runEndedAt"
      from unnest($1::text[]) as job(name)
      cross join lateral (
        select "name", "scheduledFor", "outcome", ${boundedText('"reason"')} as "reason", "count", "queueJobId"
        from "JobTick" where "name" between job.name and job.name
        order by "name" desc, "scheduledFor" desc limit $2::int
      ) tick
      left join lateral (
        select "id", "status", ${boundedText('"errorCode"')} as "errorCode", "startedAt", "endedAt" from "JobRun"
        where "queueJobId" = tick."queueJobId" order by "attempt" desc limit 1
      ) run on true
      order by tick."name", tick."scheduledFor" desc`,
    values: [names, limit],
  }
}
