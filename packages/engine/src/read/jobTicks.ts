import type { TickOutcome } from '../tick/decideTicks.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { boundedText, jsonInstant } from './bounded.ts'
import type { RecentRun } from './recentRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf } from '../job/runOutcome.ts'

/** A row of the tick ledger. Instants are ISO 8601 in UTC. */
export interface ListedJobTick {
  scheduledFor: string
  outcome: TickOutcome
  reason: string | null
  /** The number of ticks that the row stands for. */
  count: number
  /** The last of several ticks. Null for a single tick. */
  through: string | null
  workId: string | null
  createdAt: string
}

export interface KeyedTickRow extends ListedJobTick {
  /** The version of the schedule that decided it. */
  version: number
}

export interface KeyedTickPage {
  ticks: KeyedTickRow[]
  /** Pass it as `before` for the next page. Null if there are no more rows. */
  next: string | null
}

/**
 * Lists a schedule's rows of the tick ledger, the newest first; also of a deleted one. The key of a job's own schedule is
 * empty.
 */
export async function listJobTicks(
  reader: JobsReader,
  {
    name,
    key = '',
    limit,
    before,
  }: { name: string; key?: string; limit: number; before?: string | undefined },
): Promise<KeyedTickPage> {
  // One row more than requested shows whether there is a next page.
  const rows = await reader.rows<KeyedTickRow>({
    text: `
      select "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
             "workId"::text as "workId", "version", "createdAt"
      from "JobTick" where ${ofSchedule('$1::text', '$2::text')} ${before === undefined ? '' : 'and "scheduledFor" < $4::timestamptz'}
      ${NEWEST_FIRST} limit $3::int`,
    values: [name, key, limit + 1, ...(before === undefined ? [] : [before])],
  })
  const ticks = rows.slice(0, limit)
  const last = rows.length > ticks.length ? ticks.at(-1) : undefined
  return { ticks, next: last?.scheduledFor ?? null }
}

/** Only the primary key lists them in this order. */
const ofSchedule = (name: string, key: string) =>
  `${equalsInOrder('"name"', name)} and ${equalsInOrder('"key"', key)}`
const NEWEST_FIRST = 'order by "name" desc, "key" desc, "scheduledFor" desc'

/** A tick with the last attempt at the work that it enqueued, if any. */
export interface RecentTick extends Pick<
  ListedJobTick,
  'scheduledFor' | 'outcome' | 'reason' | 'count'
> {
  name: string
  run: Pick<RecentRun, 'id' | 'status' | 'outcome' | 'startedAt' | 'endedAt'> | null
}

/** Lists the newest ticks of the own schedule of each job, the latest first. */
export async function listRecentTicks(
  reader: JobsReader,
  names: readonly string[],
  limit: number,
): Promise<RecentTick[]> {
  const columns = `tick."name", tick."scheduledFor", tick."outcome", tick."reason", tick."count"`
  const keys = names.map(() => '')
  return await listRecent(
    reader,
    { names, keys, limit },
    `${columns}, ${lastRunOf('"JobRun"')} as "run"`,
  )
}

/** A tick of a keyed schedule, with the last attempt at the work that it enqueued, if any. */
export interface RecentKeyedTick extends Omit<RecentTick, 'name'> {
  key: string
  /** The version of the schedule that decided it. */
  version: number
  /** The last of several ticks. Null for a single tick. */
  through: string | null
}

export interface RecentKeyedTicksQuery {
  name: string
  keys: readonly string[]
  /** Maximum for each key. */
  limit: number
  /** Only ticks before this instant; ISO 8601. */
  before?: string | undefined
}

/** Lists the newest ticks of each of a job's schedules, the latest first. */
export async function listRecentKeyedTicks(
  reader: JobsReader,
  { name, keys, limit, before }: RecentKeyedTicksQuery,
): Promise<RecentKeyedTick[]> {
  const names = keys.map(() => name)
  return await listRecent(
    reader,
    { names, keys, limit, before },
    `tick.*, ${lastRunOf('"JobRunAll"')} as "run"`,
  )
}

async function listRecent<Row extends object>(
  reader: JobsReader,
  of: {
    names: readonly string[]
    keys: readonly string[]
    limit: number
    before?: string | undefined
  },
  columns: string,
): Promise<Row[]> {
  const { names, keys, limit, before } = of
  return await reader.rows<Row>({
    text: `
      select ${columns} from unnest($1::text[], $2::text[]) as schedule(name, key)
      cross join lateral (
        select "name", "key", "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
               "version", "workId"
        from "JobTick"
        where ${ofSchedule('schedule.name', 'schedule.key')} ${before === undefined ? '' : 'and "scheduledFor" < $4::timestamptz'}
        ${NEWEST_FIRST} limit $3::int
      ) tick
      order by tick."name", tick."key", tick."scheduledFor" desc`,
    values: [names, keys, limit, ...(before === undefined ? [] : [before])],
  })
}

/** The last attempt at a tick's work, if any, as JSON. */
const lastRunOf = (table: '"JobRun"' | '"JobRunAll"') => `(
        select jsonb_build_object('id', run."id", 'status', run."status", 'outcome', ${outcomeOf('run.')},
          'startedAt', ${jsonInstant('run."startedAt"')}, 'endedAt', ${jsonInstant('run."endedAt"')})
        from ${table} run where run."workId" = tick."workId" order by run."attempt" desc, run."startedAt" desc limit 1
      )`
