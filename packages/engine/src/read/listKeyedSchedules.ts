import {
  checkPlaceOfSchedule,
  checkScheduleQuery,
  checkTickQuery,
  type SCHEDULE_STATES,
} from '../arguments/queries.ts'
import type { MissedPolicy } from '../job/defineJob.ts'
import { BY_OFTEN, MAX_REFUSALS, POSTPONED_MS, type KeyedOverlap } from '../tick/storedSchedule.ts'
import { boundedText } from './bounded.ts'
import { GRACE_MS } from './listSchedules.ts'
import { listJobTicks, type KeyedTickPage } from './jobTicks.ts'
import type { JobsReader } from './reader.ts'
import { NAMES_OF_SCHEDULES } from './workOfJobs.ts'

/** A keyed schedule. Instants are ISO 8601 in UTC. Its payload is not shown. */
export interface ListedSchedule {
  name: string
  key: string
  version: number
  cron: string
  timeZone: string
  missed: MissedPolicy
  catchUpMs: number
  overlap: KeyedOverlap
  jitterMs: number
  startsAt: string | null
  endsAt: string | null
  /** The instant up to which its ticks are decided. */
  cursor: string
  /** The instant of its next tick, due or not. Null if there is none. */
  nextAt: string | null
  /** Its tick has been due for more than a minute, and no worker has decided it. */
  isLate: boolean
  /** It is paused, since its job's schema has refused the payload three times in a row. It resumes when the schema accepts it. */
  isRefused: boolean
  pausedAt: string | null
  pausedBy: string | null
  pauseReason: string | null
  createdAt: string
  updatedAt: string
}

export interface ScheduleQuery {
  /** Default: of all jobs. */
  name?: string | undefined
  /** Only schedules whose key begins with this text. */
  search?: string | undefined
  /** `paused`, `refused` or `late`. Default: any. */
  state?: ScheduleState | undefined
  /** 1 to 10,000. */
  limit: number
  /** The last schedule of the previous page: the list continues after it. */
  after?: { name: string; key: string } | undefined
}

export type ScheduleState = (typeof SCHEDULE_STATES)[number]

export interface SchedulePage {
  schedules: ListedSchedule[]
  /** Pass it as `after` for the next page. Null if there are no more. */
  next: { name: string; key: string } | null
}

const IS_REFUSED = `"refusals" >= ${MAX_REFUSALS} and "pausedAt" is not null`
const SINCE = `"nextAt" + "delayMs" * interval '1 millisecond'`
/** Late schedules, including those that workers could not decide and have postponed. */
const IS_LATE = `("dueAt" < now() + interval '${POSTPONED_MS} milliseconds' and ${SINCE} < now() - interval '${GRACE_MS} milliseconds')`
const COLUMNS = `
  "name", "key", "version", ${boundedText('"cron"')} as "cron", ${boundedText('"timeZone"')} as "timeZone", "missed",
  "catchUpMs"::float8 as "catchUpMs", "overlap", "jitterMs"::float8 as "jitterMs", "startsAt", "endsAt", "cursor", "nextAt",
  coalesce(${IS_LATE}, false) as "isLate", ${IS_REFUSED} as "isRefused", "pausedAt",
  ${boundedText('"pausedBy"')} as "pausedBy", ${boundedText('"pauseReason"')} as "pauseReason", "createdAt", "updatedAt"`

const CONDITIONS = {
  paused: '"pausedAt" is not null',
  refused: IS_REFUSED,
  late: IS_LATE,
} as const satisfies Record<ScheduleState, string>

/** Lists keyed schedules by name and key, in the order of their bytes. */
export async function listKeyedSchedules(
  reader: JobsReader,
  query: ScheduleQuery,
): Promise<SchedulePage> {
  const { name, search, state, limit, after } = checkScheduleQuery(query)
  const values: unknown[] = [limit + 1]
  const add = (value: unknown) => `$${values.push(value)}`
  const conditions = [
    `"key" <> ''`,
    ...(name === undefined ? [] : [`"name" = ${add(name)}::text`]),
    ...(search === undefined ? [] : [beginsWith(search, add)]),
    ...(state === undefined ? [] : [CONDITIONS[state]]),
    ...(after === undefined
      ? []
      : [`("name", "key") > (${add(after.name)}::text, ${add(after.key)}::text)`]),
  ]
  const rows = await reader.rows<ListedSchedule>({
    text: `
      select ${COLUMNS} from "JobSchedule" where ${conditions.join(' and ')}
      order by "name", "key" limit $1::int`,
    values,
  })
  const schedules = rows.slice(0, limit)
  const last = rows.length > limit ? schedules.at(-1) : undefined
  return { schedules, next: last ? { name: last.name, key: last.key } : null }
}

/** Keys that begin with the text, as an interval of the index. U+10FFFF is the greatest character. */
function beginsWith(search: string, add: (value: unknown) => string): string {
  return `"key" >= ${add(search)}::text and "key" <= ${add(`${search}\u{10FFFF}`)}::text`
}

/** Finds one. Null if there is none. */
export async function getKeyedSchedule(
  reader: JobsReader,
  of: { name: string; key: string },
): Promise<ListedSchedule | null> {
  const { name, key } = checkPlaceOfSchedule('of', of)
  const [row] = await reader.rows<ListedSchedule>({
    text: `select ${COLUMNS} from "JobSchedule" where "name" = $1::text and "key" = $2::text and "key" <> ''`,
    values: [name, key],
  })
  return row ?? null
}

const BEFORE_GRACE = `$1::timestamptz - interval '${GRACE_MS} milliseconds'`

/** Lists for each job the schedule with the oldest due tick, if that is older than the grace. */
export async function listLateSchedules(
  reader: JobsReader,
  now: Date,
): Promise<{ name: string; key: string; since: string }[]> {
  return await reader.rows({
    text: `
      select job.name, late."key", late."dueAt" as "since" from (${NAMES_OF_SCHEDULES}) job(name)
      cross join lateral (
        select "key", "dueAt" from (
          (select "key", ${SINCE} as "dueAt" from "JobSchedule" schedule
           where "name" = job.name and "key" <> '' and "lookAt" < ${BEFORE_GRACE} order by "lookAt" limit 1)
          union all
          (select "key", ${SINCE} from "JobSchedule" schedule
           where "name" = job.name and "key" <> '' and "lookAt" >= ${BEFORE_GRACE}
             and "lookAt" < $1::timestamptz + interval '${POSTPONED_MS} milliseconds' and ${SINCE} < ${BEFORE_GRACE}
           order by 2 limit 1)
          union all
          (select "key", ${SINCE} from "JobSchedule" schedule
           where "name" = job.name and "key" <> '' and ${BY_OFTEN.is} and ${SINCE} < ${BEFORE_GRACE} order by 2 limit 1)
        ) one order by "dueAt" limit 1
      ) late order by late."dueAt", job.name`,
    values: [now.toISOString()],
  })
}

/** The schedules of a job that are paused because its schema has refused their payloads. */
export interface RefusedSchedules {
  name: string
  /** The key of the longest pause, and its start. */
  key: string
  since: string
  count: number
  /** There may be more. */
  isCut: boolean
}

/** Maximum to count for each job. */
export const MAX_REFUSED = 10_000

export async function listRefusedSchedules(reader: JobsReader): Promise<RefusedSchedules[]> {
  return await reader.rows<RefusedSchedules>({
    text: `
      select job.name, (array_agg("key" order by "pausedAt"))[1] as "key", min("pausedAt") as "since",
             least(count(*), ${MAX_REFUSED})::int as "count", count(*) > ${MAX_REFUSED} as "isCut"
      from (${NAMES_OF_SCHEDULES}) job(name) cross join lateral (
        select "key", "pausedAt" from "JobSchedule"
        where "name" = job.name and "key" <> '' and ${IS_REFUSED} order by "pausedAt" limit ${MAX_REFUSED + 1}
      ) refused group by job.name order by job.name`,
  })
}

export interface KeyedTickQuery {
  name: string
  key: string
  /** 1 to 10,000. */
  limit: number
  /** Only ticks before this instant. */
  before?: string | undefined
}

/** Lists a schedule's rows of the ledger, the newest first; also of a deleted one. */
export async function listKeyedTicks(
  reader: JobsReader,
  query: KeyedTickQuery,
): Promise<KeyedTickPage> {
  return await listJobTicks(reader, checkTickQuery(query))
}

const MAX_COUNTED = 10_000

/** Counts a job's keyed schedules, up to 10,000. */
export async function countKeyedSchedules(
  reader: JobsReader,
  name: string,
): Promise<{ count: number; isCut: boolean }> {
  const [row] = await reader.rows<{ count: number; isCut: boolean }>({
    text: `
      select least(count(*), ${MAX_COUNTED})::int as "count", count(*) > ${MAX_COUNTED} as "isCut"
      from (select from "JobSchedule" where "name" = $1::text and "key" <> '' limit ${MAX_COUNTED + 1}) one`,
    values: [name],
  })
  return row ?? { count: 0, isCut: false }
}
