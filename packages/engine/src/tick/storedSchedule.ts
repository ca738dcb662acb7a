import type { MissedPolicy, OverlapPolicy, Schedule } from '../job/defineJob.ts'
import type { nextTick } from './nextTicks.ts'

/** The definition of a schedule. */
export interface ScheduleDefinition extends Pick<Schedule, 'cron' | 'timeZone' | 'catchUpMs'> {
  missed: MissedPolicy
  overlap: OverlapPolicy
  /** Upper bound of the delay of its ticks, in milliseconds. Each key has a fixed delay of its own. */
  jitterMs: number
  startsAt: Date | null
  endsAt: Date | null
}

/** Without `queue`, which would need claims in order within a key. */
export const KEYED_OVERLAPS = ['skip', 'allow'] as const
export type KeyedOverlap = (typeof KEYED_OVERLAPS)[number]

/**
 * After this many ticks in a row with a payload that the job's schema refuses, the schedule is paused. The pause ends when the
 * latest version of the product accepts the payload.
 */
export const MAX_REFUSALS = 3
export const NOT_PAUSED = { pausedAt: null, pausedBy: null, pauseReason: null, refusals: 0 }

/** The time by which a worker postpones a row that it cannot decide. */
export const POSTPONED_MS = 60_000

/** A row of JobSchedule, locked. */
export interface StoredSchedule extends ScheduleDefinition {
  [column: string]: unknown
  name: string
  /** Empty for the schedule of a job's definition. */
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
  /** Ids with commas between them, since some drivers cannot read arrays. */
  openWork: string
  /** The number of ticks on a day that has any. */
  perDay: number
  refusals: number
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
  retiredAt: Date | null
  /** The time of the database. */
  now: Date
}

/** The columns that are instants. */
export const INSTANTS = [
  'startsAt',
  'endsAt',
  'cursor',
  'nextAt',
  'dueAt',
  'lastAt',
  'pausedAt',
  'retiredAt',
  'now',
] as const

const MAX_DATE_MS = 8.64e15

/** Converts an instant of a row: the driver of a host returns a Date or a text. */
export function toInstant(value: unknown): Date {
  // The driver reads PostgreSQL's infinity, which only a person can have written, as that number.
  if (value === Infinity || value === -Infinity) return new Date(Math.sign(value) * MAX_DATE_MS)
  return value instanceof Date ? value : new Date(String(value))
}

export function withInstants(row: StoredSchedule): StoredSchedule {
  const instants = INSTANTS.map((column) => [column, row[column] && toInstant(row[column])])
  return { ...row, ...(Object.fromEntries(instants) as Partial<StoredSchedule>) }
}

/** The columns of `schedule` that make a StoredSchedule. A later statement reads everything else that decides. */
export const storedColumns = (now: string) => `
  schedule."name", schedule."key", schedule."version", schedule."cron", schedule."timeZone", schedule."missed", schedule."overlap",
  schedule."catchUpMs"::float8 as "catchUpMs", schedule."jitterMs"::float8 as "jitterMs", schedule."startsAt", schedule."endsAt",
  schedule."payload"::text as "payload", schedule."bytes", schedule."cursor", schedule."nextAt", schedule."dueAt",
  schedule."delayMs"::float8 as "delayMs", schedule."tzdata", schedule."lastAt", array_to_string(schedule."openWork", ',') as "openWork",
  schedule."perDay", schedule."refusals", schedule."pausedAt", schedule."pausedBy", schedule."pauseReason", schedule."retiredAt",
  ${now} as "now"`

/** The two indexes that find due rows of `schedule`: a condition, and the column with the instant. */
export const BY_INSTANT = { is: `schedule."lookAt" is not null`, at: `schedule."lookAt"` }
export const BY_OFTEN = { is: `schedule."perDay" > 1440`, at: `schedule."dueAt"` }

/** The version of this process's time zone rules, such as `2026b`. */
export const OWN_TZDATA = process.versions.tz ?? ''

/** The first instant of the schedule after `after`. */
export function nextOf(
  {
    startsAt,
    endsAt,
    ...schedule
  }: Pick<ScheduleDefinition, 'cron' | 'timeZone' | 'startsAt' | 'endsAt'>,
  after: Date,
  find: typeof nextTick,
): Date | null {
  const from = startsAt !== null && startsAt > after ? new Date(startsAt.getTime() - 1) : after
  const next = find(schedule, from)
  return next === null || (endsAt !== null && next > endsAt) ? null : next
}

/** The time at which a worker decides the tick of an instant. */
export function dueOf(nextAt: Date | null, delayMs: number): Date | null {
  return nextAt && new Date(nextAt.getTime() + delayMs)
}

export function tellDefinition(one: ScheduleDefinition): string {
  const { cron, timeZone, missed, overlap, jitterMs, catchUpMs, startsAt, endsAt } = one
  return [
    `${cron} in ${timeZone}`,
    ...(startsAt === null ? [] : [`from ${startsAt.toISOString()}`]),
    ...(endsAt === null ? [] : [`to ${endsAt.toISOString()}`]),
    ...(missed === 'once' ? [] : [`missed ${missed}`]),
    ...(overlap === 'skip' ? [] : [`overlap ${overlap}`]),
    ...(jitterMs === 0 ? [] : [`jitter ${jitterMs} ms`]),
    ...(catchUpMs === 86_400_000 ? [] : [`catch-up ${catchUpMs} ms`]),
  ].join(', ')
}
