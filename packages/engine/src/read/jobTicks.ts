import type { TickOutcome } from '../tick/decideTicks.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText } from './bounded.ts'
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
  const rows = await reader.rows<TickRow>({
    text: `
      select tick."name", tick."scheduledFor", tick."outcome", tick."reason", tick."count", run."id" as "runId",
             run."status" as "runStatus", run."outcome" as "runOutcome", run."startedAt" as "runStartedAt", run."endedAt" as "runEndedAt"
      from unnest($1::text[]) as job(name)
      cross join lateral (
        select "name", "scheduledFor", "outcome", ${boundedText('"reason"')} as "reason", "count", "workId"
        from "JobTick" where ${equalsInOrder('"name"', 'job.name')}
        order by "name" desc, "scheduledFor" desc limit $2::int
      ) tick
      left join lateral (
        select "id", "status", ${outcomeOf()} as "outcome", "startedAt", "endedAt" from "JobRun"
        where "workId" = tick."workId" order by "attempt" desc limit 1
      ) run on true
      order by tick."name", tick."scheduledFor" desc`,
    values: [names, limit],
  })
  return rows.map(toRecentTick)
}

/** Puts together what a row tells of the run. */
export function toRecentTick<Tick extends Pick<RecentTick, 'run'>>({
  runId,
  runStatus,
  runOutcome,
  runStartedAt,
  runEndedAt,
  ...tick
}: TickRow<Tick>): Omit<Tick, 'run'> & Pick<RecentTick, 'run'> {
  const run =
    runId && runStatus && runOutcome && runStartedAt
      ? {
          id: runId,
          status: runStatus,
          outcome: runOutcome,
          startedAt: runStartedAt,
          endedAt: runEndedAt,
        }
      : null
  return { ...(tick as unknown as Omit<Tick, 'run'>), run }
}

export type TickRow<Tick = RecentTick> = Omit<Tick, 'run'> & {
  runId: string | null
  runStatus: RecentRun['status'] | null
  runOutcome: RecentRun['outcome'] | null
  runStartedAt: string | null
  runEndedAt: string | null
}
