import { createHash } from 'node:crypto'
import {
  ArgumentError,
  asItIs,
  checkActorText,
  checkBoolean,
  checkDate,
  checkDurationMs,
  checkJobName,
  checkOptions,
  checkText,
  copyList,
  nullable,
  oneOf,
  optional,
  tell,
  wholeNumber,
} from '../values/argument.ts'
import type { Job, MissedPolicy } from '../job/defineJob.ts'
import { checkVersion } from '../arguments/actions.ts'
import { cronProblem, MAX_CATCH_UP_MS, MISSED_POLICIES } from '../arguments/jobs.ts'
import type { PayloadOf } from '../job/handler.ts'
import { JobError } from '../job/jobError.ts'
import { storablePayload } from '../job/storablePayload.ts'
import {
  KEYED_OVERLAPS,
  type ScheduleDefinition,
  type KeyedOverlap,
} from '../tick/storedSchedule.ts'
import { nextTicks } from '../tick/nextTicks.ts'
import type { PreviewQuery } from './previewSchedule.ts'
import type { Actor } from '../queue/recordActions.ts'
import { ticksOfDay } from '../tick/scheduleLoad.ts'

/** A schedule that a program stores as data, under a key. Omitted properties are reset to their defaults. */
export interface KeyedSchedule<J extends Job = Job> {
  /** 1 to 200 bytes, such as a customer's id; neither `.` nor `..`. Job name and key identify the schedule. */
  key: string
  /** Five fields, six with seconds in front, or `@daily` and its like. */
  cron: string
  /** IANA name. Default `UTC`. */
  timeZone?: string
  /** The payload of each of its runs; at most 64 kB as JSON. Default: an empty object. */
  payload?: PayloadOf<J>
  /** Keeps the payload of an existing schedule and ignores `payload`. It needs `ifVersion`. Default false. */
  keepsPayload?: boolean
  /** The same as `missed` of a job's own schedule. Default `once`. */
  missed?: MissedPolicy
  /** Ticks that were due longer ago are recorded as missed and get no run. Default one day. */
  catchUpMs?: number
  /**
   * A tick while earlier work of this schedule has not ended. `skip` (default): the tick gets no run. `allow`: both run. The
   * work of other keys does not count.
   */
  overlap?: KeyedOverlap
  /**
   * Spreads schedules with the same instant: each key enqueues its work later, always by the same part of this time.
   * `scheduledFor` stays the instant. Must be less than half of the time between two ticks. Default 0.
   */
  jitterMs?: number
  /** No tick before this instant. Default: from now on. */
  startsAt?: Date | null
  /** No tick after this instant. Default: without an end. */
  endsAt?: Date | null
  /** Allows more than one tick in a minute, which an expression of six fields can have. Default false. */
  allowSeconds?: boolean
  /**
   * Throws JobError `schedule_changed` unless the schedule has this version; 0: unless it does not exist. Default: any version.
   */
  ifVersion?: number
  /** The person or program that requests the change. Default `program`. */
  actor?: string
  reason?: string
}

const MAX_KEY_BYTES = 200
const MAX_PAYLOAD_BYTES = 64 * 1024
const MAX_CRON_LENGTH = 500
const DAY_MS = 86_400_000
/** The shortest time between two ticks is measured over this many ticks. */
const MEASURED_TICKS = 10

const SCHEDULE = {
  key: asItIs,
  cron: asItIs,
  timeZone: asItIs,
  payload: asItIs,
  keepsPayload: optional(checkBoolean),
  missed: optional(oneOf(MISSED_POLICIES)),
  catchUpMs: optional(wholeNumber(1, MAX_CATCH_UP_MS)),
  overlap: asItIs,
  jitterMs: optional(checkDurationMs),
  startsAt: optional(nullable(checkDate)),
  endsAt: optional(nullable(checkDate)),
  allowSeconds: optional(checkBoolean),
  ifVersion: checkVersion,
  actor: optional(checkActorText),
  reason: optional(checkText),
} satisfies Record<keyof KeyedSchedule, unknown>
const SCHEDULE_HINTS = { timezone: 'did you mean timeZone?', schedule: 'did you mean cron?' }
const checkOverlap = optional(oneOf(KEYED_OVERLAPS))

/** A checked schedule, without foreign values. */
export interface Wanted extends ScheduleDefinition {
  key: string
  payload: unknown
  bytes: number
  delayMs: number
  perDay: number
  ifVersion: number | undefined
  keepsPayload: boolean
  by: Actor
}

/** Facts of a calendar that take a fraction of a millisecond to compute, and that many schedules share. */
interface Calendar {
  problem: FindByCalendar<string | null>
  leastMs: FindByCalendar<number>
}
type FindByCalendar<Found> = (cron: string, timeZone: string) => Found

function createCalendar(): Calendar {
  return { problem: remember(cronProblem), leastMs: remember(leastIntervalMs) }
}

function checkSchedule(job: Job, given: unknown, within: string, calendar: Calendar): Wanted {
  const one = checkOptions(within.slice(0, -1) || 'schedule', given, SCHEDULE, {
    prefix: within,
    hints: SCHEDULE_HINTS,
  })
  const key = checkKey(`${within}key`, one.key)
  const { cron, timeZone } = checkCalendar(one, within, calendar.problem)
  const { missed = 'once', catchUpMs = DAY_MS, jitterMs = 0, startsAt = null, endsAt = null } = one
  const { allowSeconds = false, ifVersion, actor = 'program', reason } = one
  if (!allowSeconds && isWithinMinutes(cron))
    throw new ArgumentError(
      `${within}cron`,
      'names more than one instant in a minute: give one second, or allowSeconds: true',
    )
  if (one.overlap === 'queue')
    throw new ArgumentError(
      `${within}overlap`,
      "'queue' is for schedules in code; where ticks are to run one after the other, give the job partition: { key, order: 'fifo' } and set overlap to 'allow'",
    )
  const overlap = checkOverlap(`${within}overlap`, one.overlap) ?? 'skip'
  if (missed === 'all' && overlap === 'skip')
    throw new ArgumentError(
      `${within}missed`,
      "'all' wants a run for each tick and overlap: 'skip' refuses them; set overlap to 'allow'",
    )
  checkSpan({ startsAt, endsAt }, within)
  const half = jitterMs === 0 ? Infinity : calendar.leastMs(cron, timeZone) / 2
  if (jitterMs >= half)
    throw new ArgumentError(
      `${within}jitterMs`,
      `must be less than half of the time between two ticks: at most ${Math.ceil(half) - 1}`,
    )
  const { keepsPayload = false } = one
  if (keepsPayload && !ifVersion)
    throw new ArgumentError(
      `${within}keepsPayload`,
      'needs the ifVersion of the schedule whose payload it is to keep',
    )
  const { payload, bytes } = keepsPayload
    ? { payload: null, bytes: 0 }
    : storablePayload(job, one.payload === undefined ? {} : one.payload, `${within}payload`)
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new ArgumentError(
      `${within}payload`,
      'has more than 64 kB as JSON: store it in a table, and pass its id',
    )
  const by = { actor, ...(reason !== undefined && { reason }) }
  const delayMs = shareOf(job.name, key, jitterMs)
  return {
    ...{ key, cron, timeZone, payload, bytes, missed, catchUpMs, overlap, jitterMs, delayMs },
    ...{ startsAt, endsAt, ifVersion, keepsPayload, by, perDay: ticksOfDay(cron) },
  }
}

const MAX_SCHEDULES = 10_000

/** Checks the schedules of one call, each with a different key. `path` names one in errors. */
export function checkSchedules(
  job: Job,
  schedules: unknown,
  path = (at: number) => `schedules[${at}].`,
): Wanted[] {
  const calendar = createCalendar()
  const wanted = copyList('schedules', schedules, MAX_SCHEDULES).map((one, at) =>
    checkSchedule(job, one, path(at), calendar),
  )
  const keys = new Set<string>()
  for (const [at, { key }] of wanted.entries()) {
    if (keys.has(key))
      throw new ArgumentError(`${path(at)}key`, `is that of another in this call: ${tell(key)}`)
    keys.add(key)
  }
  return wanted
}

const PREVIEW = {
  cron: asItIs,
  timeZone: asItIs,
  startsAt: optional(nullable(checkDate)),
  endsAt: optional(nullable(checkDate)),
  after: optional(checkDate),
  count: optional(wholeNumber(1, 100)),
} satisfies Record<keyof PreviewQuery, unknown>

export function checkPreview(query: unknown) {
  const given = checkOptions('query', query, PREVIEW, { hints: SCHEDULE_HINTS })
  const calendar = checkCalendar(given, '')
  const { startsAt = null, endsAt = null, after = new Date(), count = 5 } = given
  checkSpan({ startsAt, endsAt }, '')
  return { calendar, startsAt, endsAt, after, count }
}

/** Checks the job and the key that identify a schedule. */
export function checkTarget(job: unknown, key: unknown): string {
  const name = checkJobName('job', job)
  checkKey('key', key)
  return name
}

function checkKey(argument: string, value: unknown): string {
  const key = checkText(argument, value)
  if (key === '')
    throw new JobError(
      'schedule_owned_by_code',
      `${argument} is empty, which is the schedule of the job itself: change its definition, or give a key`,
      { retryable: false },
    )
  if (key === '.' || key === '..')
    throw new ArgumentError(argument, `must not be ${key}, which an address takes for a folder`)
  if (Buffer.byteLength(key) <= MAX_KEY_BYTES) return key
  throw new ArgumentError(argument, `must have at most ${MAX_KEY_BYTES} bytes`)
}

function checkCalendar(
  given: { cron: unknown; timeZone: unknown },
  within: string,
  problem: FindByCalendar<string | null> = cronProblem,
): Pick<ScheduleDefinition, 'cron' | 'timeZone'> {
  const timeZone =
    given.timeZone === undefined ? 'UTC' : checkText(`${within}timeZone`, given.timeZone)
  const ofZone = problem('* * * * *', timeZone)
  if (ofZone !== null) throw new ArgumentError(`${within}timeZone`, `cannot be used: ${ofZone}`)
  const cron = checkText(`${within}cron`, given.cron)
  const ofCron =
    cron.length > MAX_CRON_LENGTH
      ? `it has over ${MAX_CRON_LENGTH} characters`
      : problem(cron, timeZone)
  if (ofCron !== null) throw new ArgumentError(`${within}cron`, `cannot be used: ${ofCron}`)
  return { cron, timeZone }
}

function checkSpan({ startsAt, endsAt }: Span, within: string): void {
  if (startsAt !== null && endsAt !== null && startsAt > endsAt)
    throw new ArgumentError(`${within}endsAt`, 'must not be earlier than startsAt')
}

type Span = Pick<ScheduleDefinition, 'startsAt' | 'endsAt'>

function remember<Found>(find: FindByCalendar<Found>): FindByCalendar<Found> {
  const known = new Map<string, Found>()
  return (cron, timeZone) => {
    const calendar = JSON.stringify([cron, timeZone])
    const found = known.has(calendar) ? (known.get(calendar) as Found) : find(cron, timeZone)
    known.set(calendar, found)
    return found
  }
}

/** Whether the expression has six fields, and its seconds are not a single number. */
function isWithinMinutes(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  return fields.length === 6 && !/^\d+$/.test(fields[0] as string)
}

function leastIntervalMs(cron: string, timeZone: string): number {
  let [least, before] = [Infinity, null as Date | null]
  let count = 0
  for (const tick of nextTicks({ cron, timeZone }, new Date())) {
    if (before !== null) least = Math.min(least, tick.getTime() - before.getTime())
    before = tick
    if (++count > MEASURED_TICKS) break
  }
  return least
}

/** The key's share of the jitter: always the same, and spread evenly over keys. */
function shareOf(name: string, key: string, jitterMs: number): number {
  if (jitterMs === 0) return 0
  const hash = createHash('sha224').update(`${name} ${key}`).digest().readUInt32BE()
  return Math.floor((hash / 2 ** 32) * (jitterMs + 1))
}
