import type { TickOutcome } from '../tick/decideTicks.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText, jsonInstant } from './bounded.ts'
import type { RecentRun } from './recentRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf } from './runOutcome.ts'

/** A row of the tick ledger. Instants are ISO 8601 in UTC. */
export interface ListedJobTick {
  scheduledFor: string
  outcome: TickOutcome
  reason: string | null
  /** How many ticks the row stands for. */
  count: number
  /** The last of several ticks; else null. */
  through: string | null
  workId: string | null
  createdAt: string
}

export interface ListJobTicksOptions {
  name: string
  /** How many rows to return, from 1 to 10,000. */
  limit: number
  /** Only ticks before this instant; ISO 8601. */
  before?: string | undefined
}

export interface JobTickPage {
  ticks: ListedJobTick[]
  /** Pass it as `before` for the next page; null when there are no more rows. */
  next: string | null
}

/** Lists a job's rows of the tick ledger, newest first. A job's instants are unique, so a page begins after one. */
export async function listJobTicks(
  reader: JobsReader,
  { name, limit, before }: ListJobTicksOptions,
): Promise<JobTickPage> {
  // One row more than asked for tells whether there is a next page.
  const rows = await reader.rows<ListedJobTick>({
    text: `
      select "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
             "workId"::text as "workId", "createdAt"
      from "JobTick" where ${equalsInOrder('"name"', '$1::text')} ${before === undefined ? '' : 'and "scheduledFor" < $3::timestamptz'}
      order by "name" desc, "scheduledFor" desc limit $2::int`,
    values: [name, limit + 1, ...(before === undefined ? [] : [before])],
  })
  const ticks = rows.slice(0, limit)
  const last = rows.length > ticks.length ? ticks.at(-1) : undefined
  return { ticks, next: last?.scheduledFor ?? null }
}

/** A tick with the last attempt at the work that it enqueued, if any. */
export interface RecentTick extends Pick<
  ListedJobTick,
  'scheduledFor' | 'outcome' | 'reason' | 'count'
> {
  name: string
  run: Pick<RecentRun, 'id' | 'status' | 'outcome' | 'startedAt' | 'endedAt'> | null
}

/** Lists the newest ticks of each job, the latest first. */
export async function listRecentTicks(
  reader: JobsReader,
  names: readonly string[],
  limit: number,
): Promise<RecentTick[]> {
  // Only the primary key lists them by name and then by time.
  return await reader.rows<RecentTick>({
    text: `
      select tick."name", tick."scheduledFor", tick."outcome", tick."reason", tick."count",
             ${lastRunOf('tick."workId"', '"JobRun"')} as "run"
      from unnest($1::text[]) as job(name)
      cross join lateral (
        select "name", "scheduledFor", "outcome", ${boundedText('"reason"')} as "reason", "count", "workId"
        from "JobTick" where ${equalsInOrder('"name"', 'job.name')}
        order by "name" desc, "scheduledFor" desc limit $2::int
      ) tick
      order by tick."name", tick."scheduledFor" desc`,
    values: [names, limit],
  })
}

/** The last attempt at a piece of work, if any, as JSON. `workId` is an expression. */
export const lastRunOf = (workId: string, table: '"JobRun"' | '"JobRunAll"') => `(
        select jsonb_build_object('id', run."id", 'status', run."status", 'outcome', ${outcomeOf('run.')},
          'startedAt', ${jsonInstant('run."startedAt"')}, 'endedAt', ${jsonInstant('run."endedAt"')})
        from ${table} run where run."workId" = ${workId} order by run."attempt" desc, run."startedAt" desc limit 1
      )`
