import { boundedText } from './bounded.ts'
import { lastRunOf, type RecentTick } from './jobTicks.ts'
import type { JobsReader } from './reader.ts'

/** A tick of a schedule that is kept as data, with the last attempt at the work that it enqueued, if any. */
export interface RecentKeyedTick extends Omit<RecentTick, 'name'> {
  key: string
  /** By which version of the schedule it was decided. */
  version: number
  /** The last of several ticks; else null. */
  through: string | null
}

export interface RecentKeyedTicksQuery {
  name: string
  keys: readonly string[]
  /** How many of each key. */
  limit: number
  /** Only ticks before this instant; ISO 8601. */
  before?: string | undefined
}

/** Lists the newest ticks of each of a job's schedules, the latest first. */
export async function listRecentKeyedTicks(
  reader: JobsReader,
  { name, keys, limit, before }: RecentKeyedTicksQuery,
): Promise<RecentKeyedTick[]> {
  return await reader.rows<RecentKeyedTick>({
    text: `
      select tick.*, ${lastRunOf('tick."workId"', '"JobRunAll"')} as "run"
      from unnest($2::text[]) as schedule(key)
      cross join lateral (
        select "key", "scheduledFor", "outcome"::text as "outcome", ${boundedText('"reason"')} as "reason", "count", "through",
               "version", "workId"
        from "JobKeyedTick" where "name" = $1::text and "key" = schedule.key ${before === undefined ? '' : 'and "scheduledFor" < $4::timestamptz'}
        order by "scheduledFor" desc limit $3::int
      ) tick
      order by tick."key", tick."scheduledFor" desc`,
    values: [name, keys, limit, ...(before === undefined ? [] : [before])],
  })
}

const MAX_COUNTED = 10_000

/** Counts a job's schedules that are kept as data, up to 10,000. */
export async function countKeyedSchedules(
  reader: JobsReader,
  name: string,
): Promise<{ count: number; isCut: boolean }> {
  const [row] = await reader.rows<{ count: number; isCut: boolean }>({
    text: `
      select least(count(*), ${MAX_COUNTED})::int as "count", count(*) > ${MAX_COUNTED} as "isCut"
      from (select from "JobKeyedSchedule" where "name" = $1::text limit ${MAX_COUNTED + 1}) one`,
    values: [name],
  })
  return row ?? { count: 0, isCut: false }
}
