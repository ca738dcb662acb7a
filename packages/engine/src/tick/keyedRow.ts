import type { MissedPolicy, Schedule } from '../job/defineJob.ts'
import { RUNS_UNDER_WAY } from '../store/heldRuns.ts'
import { isRetry } from './isUnfinished.ts'
import type { nextTick } from './nextTicks.ts'

/** What a keyed schedule says, and which change it is. */
export interface KeyedDefinition extends Pick<Schedule, 'cron' | 'timeZone' | 'catchUpMs'> {
  missed: MissedPolicy
  overlap: KeyedOverlap
  /** Its ticks are decided later by a part of this that is the key's own. */
  jitterMs: number
  startsAt: Date | null
  endsAt: Date | null
}

/** To queue the work of each schedule behind its own, claims would need an order within a key. */
export const KEYED_OVERLAPS = ['skip', 'allow'] as const
export type KeyedOverlap = (typeof KEYED_OVERLAPS)[number]

/**
 * After so many ticks in a row whose payload the job's schema refuses, the schedule is paused. The pause ends when the latest version
 * of the product accepts the payload.
 */
export const MAX_REFUSALS = 3
export const NOT_PAUSED = { pausedAt: null, pausedBy: null, pauseReason: null, refusals: 0 }

/** A row that a worker cannot decide is left to others for so long. */
export const POSTPONED_MS = 60_000

/** A row of JobKeyedSchedule, locked. */
export interface KeyedRow extends KeyedDefinition {
  [column: string]: unknown
  key: string
  version: number
  /** JSON; null: undefined. */
  payload: string | null
  bytes: number
  cursor: Date
  nextAt: Date | null
  dueAt: Date | null
  delayMs: number
  tzdata: string
  lastAt: Date | null
  /** Ids with commas between them: not every driver reads arrays. */
  openWork: string
  /** How many ticks it has on a day on which it has any. */
  perDay: number
  refusals: number
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
  /** A piece of its work is due, to be retried, or runs. */
  isUnfinished: boolean
  /** The time of the database. */
  now: Date
}

/** Its columns that are instants. */
export const INSTANTS = [
  'startsAt',
  'endsAt',
  'cursor',
  'nextAt',
  'dueAt',
  'lastAt',
  'pausedAt',
  'now',
] as const

const MAX_DATE_MS = 8.64e15

/** An instant of a row, whatever the program has its driver make of instants. */
export function toInstant(value: unknown): Date {
  // The driver reads PostgreSQL's infinity, which only a person writes, as that number.
  if (value === Infinity || value === -Infinity) return new Date(Math.sign(value) * MAX_DATE_MS)
  return value instanceof Date ? value : new Date(String(value))
}

/**
 * Locks the rows of job `$1` that `which` chooses, up to its `for update`. `$2`: the job's longest pause before a retry, in seconds.
 * Race: packages/engine/test/tick/keyedEdges.test.ts "counts work that was enqueued while a deletion waited for its transaction"
 */
export const lockRowsSql = (which: string, now: string) => `
  with locked as materialized (
    select * from "JobKeyedSchedule" schedule where schedule."name" = $1::text and ${which}
  ), opened as materialized (
    select distinct work.id from locked cross join lateral unnest(locked."openWork") as work(id) where locked."overlap" = 'skip'
  ), unfinished as materialized (
    select work."id" from "JobWork" work where work."id" in (select id from opened)
      and (work."place" is not null or ${isRetry('$2::float8')})
    union all
    select run."workId" from ${RUNS_UNDER_WAY}
    where run."name" = $1::text and run."workId" in (select id from opened) and not run."dryRun"
    union all
    -- A row may be locked as a commit has left it that this statement does not see: what that has added is open.
    select work.id from locked cross join lateral (
      select seen."openWork" from "JobKeyedSchedule" seen where seen."name" = $1::text and seen."key" = locked."key" offset 0
    ) seen cross join lateral unnest(locked."openWork") as work(id)
    where locked."overlap" = 'skip' and work.id <> all(seen."openWork")
  )
  select "key", "version", "cron", "timeZone", "missed", "overlap", "catchUpMs"::float8 as "catchUpMs", "jitterMs"::float8 as "jitterMs",
    "startsAt", "endsAt", "payload"::text as "payload", "bytes", "cursor", "nextAt", "dueAt", "delayMs"::float8 as "delayMs", "tzdata",
    "lastAt", array_to_string("openWork", ',') as "openWork", "perDay", "refusals", "pausedAt", "pausedBy", "pauseReason", ${now} as "now",
    exists (select from unnest(locked."openWork") as work(id) where work.id in (select id from unfinished)) as "isUnfinished"
  from locked`

/** A column of those jobs, among the names in the parameter, of which a keyed schedule is due: a probe of an index for each. */
export const dueJobsSql = (names: string) => `array(
    select job.name from unnest(${names}::text[]) job(name) where exists (
      select from "JobKeyedSchedule" schedule where schedule."name" = job.name and schedule."dueAt" <= now()
    )
  )`

/** The rules of time zones of this process, such as `2026b`. */
export const OWN_TZDATA = process.versions.tz ?? ''

/** The first instant after `after` that the schedule names. */
export function nextOf(
  {
    startsAt,
    endsAt,
    ...schedule
  }: Pick<KeyedDefinition, 'cron' | 'timeZone' | 'startsAt' | 'endsAt'>,
  after: Date,
  find: typeof nextTick,
): Date | null {
  const from = startsAt !== null && startsAt > after ? new Date(startsAt.getTime() - 1) : after
  const next = find(schedule, from)
  return next === null || (endsAt !== null && next > endsAt) ? null : next
}

/** When a worker decides the tick of an instant. */
export function dueOf(nextAt: Date | null, delayMs: number): Date | null {
  return nextAt && new Date(nextAt.getTime() + delayMs)
}

/** Postpones rows without writing back what was read of them: it may be what PostgreSQL has, and JSON has not. */
export const POSTPONE_SQL = `
  update "JobKeyedSchedule" set "dueAt" = $3::timestamptz where "name" = $1::text and "key" = any($2::text[]) returning "key"`

/** What becomes of rows that are locked, one for each key. */
export const SAVE_ROWS_SQL = `
  update "JobKeyedSchedule" schedule
  set "cursor" = saved."cursor", "nextAt" = saved."nextAt", "dueAt" = saved."dueAt", "tzdata" = saved."tzdata",
      "lastAt" = saved."lastAt", "openWork" = string_to_array(saved."openWork", ',')::uuid[], "refusals" = saved."refusals",
      "pausedAt" = saved."pausedAt", "pausedBy" = saved."pausedBy", "pauseReason" = saved."pauseReason"
  from json_to_recordset($2::text::json) as saved(
    "key" text, "cursor" timestamptz, "nextAt" timestamptz, "dueAt" timestamptz, "tzdata" text, "lastAt" timestamptz, "openWork" text,
    "refusals" int, "pausedAt" timestamptz, "pausedBy" text, "pauseReason" text
  )
  where schedule."name" = $1::text and schedule."key" = saved."key" returning schedule."key"`
