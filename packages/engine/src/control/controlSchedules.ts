import { isDeepStrictEqual } from 'node:util'
import { createHash } from 'node:crypto'
import { v7 as uuid } from 'uuid'
import {
  ArgumentError,
  asItIs,
  checkBoolean,
  checkDate,
  checkDurationMs,
  checkJobName,
  checkParts,
  checkText,
  copyList,
  nullable,
  oneOf,
  optional,
  tell,
  wholeNumber,
} from '../job/argument.ts'
import {
  cronProblem,
  MAX_CATCH_UP_MS,
  MISSED_POLICIES,
  type Job,
  type MissedPolicy,
} from '../job/defineJob.ts'
import type { PayloadOf } from '../job/handler.ts'
import { JobError } from '../job/jobError.ts'
import { labelPayload } from '../job/labelWork.ts'
import { keyOfPayload } from '../job/limits.ts'
import type { Logger } from '../job/logger.ts'
import { storablePayload } from '../job/storablePayload.ts'
import type { Connection } from '../store/database.ts'
import { insertWork } from '../store/insertWork.ts'
import {
  addOpenWork,
  decideKeyed,
  insertAll,
  readPayload,
  saveRows,
  toWork,
  type DecidedJob,
} from '../tick/decideKeyed.ts'
import {
  dueOf,
  KEYED_OVERLAPS,
  lockRowsSql,
  MAX_REFUSALS,
  nextOf,
  OWN_TZDATA,
  toInstant,
  type KeyedDefinition,
  type KeyedOverlap,
  type KeyedRow,
} from '../tick/keyedRow.ts'
import { MAX_COUNTED } from '../tick/dueTicks.ts'
import { createLocalTime, type LocalTime } from '../tick/localTime.ts'
import { createNextTick, nextTick, nextTicks, previousTicks } from '../tick/nextTicks.ts'
import type { ActionRequest } from './controlJobs.ts'
import { recordActions, storableActor, type Actor } from './recordActions.ts'
import { ticksOfDay, type LoadLimit } from './scheduleLoad.ts'

/** A schedule that a program keeps as data, under a key of its own. What is left out has its default, also where it had another value. */
export interface KeyedSchedule<J extends Job = Job> {
  /** 1 to 200 bytes, such as a customer's id; neither `.` nor `..`. With the job's name it is the schedule. */
  key: string
  /** Five fields, or six with seconds in front. */
  cron: string
  /** IANA name. Default `UTC`. */
  timeZone?: string
  /** Of each of its runs; at most 64 kB as JSON. Default: an empty object. */
  payload?: PayloadOf<J>
  /** Leaves the payload as it is, whatever `payload` says. It needs the `ifVersion` of a schedule that there is. Default false. */
  keepsPayload?: boolean
  /** As that of a job's own schedule. Default `once`. */
  missed?: MissedPolicy
  /** Ticks that were due longer ago are recorded as missed and get no run. Default one day. */
  catchUpMs?: number
  /**
   * What workers do with a tick while earlier work of this schedule has not ended. `skip` (default): nothing. `allow`: both run.
   * The work of other keys does not count.
   */
  overlap?: KeyedOverlap
  /**
   * Spreads schedules that name the same instant: each has its work enqueued later by a part of this that stays its own, and
   * `scheduledFor` names the instant. Less than half of the time between two ticks. Default 0.
   */
  jitterMs?: number
  /** It has no tick before this instant. Default: from now on. */
  startsAt?: Date | null
  /** It has no tick after this instant. Default: without an end. */
  endsAt?: Date | null
  /** Allows more than one tick in a minute, which six fields can name. Default false. */
  allowSeconds?: boolean
  /** Throws JobError `schedule_changed` unless the schedule has this version; 0: unless there is none. Default: any. */
  ifVersion?: number
  /** Who wants this. Default `program`. */
  actor?: string
  reason?: string
}

export interface UpsertedSchedule {
  kind: 'created' | 'changed' | 'unchanged'
  /** One more with each change of what it says. At first 1 or, where any was deleted, more than that had: it stands for no other. */
  version: number
  /** The instant of its next tick; null when there is none. */
  nextAt: Date | null
}

export interface BackfillRequest extends ActionRequest {
  /** The first and the last instant that may get work. What is due after the last decided tick is left to workers. */
  from: Date
  to: Date
}

export type BackfillOutcome =
  /** `kept`: instants that have their work already, or that the schedule as it was then named. */
  { kind: 'backfilled'; enqueued: number; kept: number } | { kind: 'notFound' }

/** Tells what a change has done beside its outcome: wakes workers once the transaction has committed. */
export type OnWork = (name: string, transactionId: string) => void

interface Caller {
  log: Pick<Logger, 'warn' | 'error'>
  onWork: OnWork
}

const MAX_KEY_BYTES = 200
const MAX_SCHEDULES = 10_000
const MAX_PAYLOAD_BYTES = 64 * 1024
const MAX_BACKFILLED = 10_000
const MAX_CRON_LENGTH = 500
const DAY_MS = 86_400_000
/** Among so many ticks the shortest time between two is looked for. */
const MEASURED_TICKS = 10

const checkVersion = optional(wholeNumber(0, 2 ** 31 - 1))
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
  actor: optional(checkText),
  reason: optional(checkText),
}
const checkOverlap = optional(oneOf(KEYED_OVERLAPS))

/** A schedule that was checked, with nothing foreign in it. */
interface Wanted extends KeyedDefinition {
  key: string
  payload: unknown
  bytes: number
  delayMs: number
  perDay: number
  ifVersion: number | undefined
  keepsPayload: boolean
  by: Actor
}

/**
 * Makes these schedules be as they are given, in the caller's transaction. Rows are locked in the order of their keys. What is
 * due of one whose ticks change is decided first, by what it was.
 */
export async function upsertSchedules(
  tx: Connection,
  job: Job,
  schedules: readonly unknown[],
  { limit, ...caller }: Caller & { limit: LoadLimit },
  path = (at: number) => `schedules[${at}].`,
): Promise<UpsertedSchedule[]> {
  const name = checkJobName('job', job)
  const calendar = { problem: remember(cronProblem), leastMs: remember(leastIntervalMs) }
  const wanted = copyList('schedules', schedules, MAX_SCHEDULES).map((one, at) =>
    checkSchedule(job, one, path(at), calendar),
  )
  const byKey = new Map(wanted.map((one) => [one.key, one]))
  if (byKey.size < wanted.length) {
    const at = wanted.findIndex(
      ({ key }, index) => wanted.findIndex((one) => one.key === key) < index,
    )
    throw new ArgumentError(
      `${path(at)}key`,
      `is that of another in this call: ${tell(wanted[at]?.key)}`,
    )
  }
  if (wanted.length === 0) return []
  await tx.query(INSERT_SQL, [name, JSON.stringify(wanted.map(toJson))])
  const rows = await lockKeys(tx, job, [...byKey.keys()])
  await checkVersions(tx, name, rows, byKey)
  for (const row of rows) {
    const one = byKey.get(row.key) as Wanted
    if (one.keepsPayload)
      byKey.set(row.key, { ...one, payload: readPayload(row), bytes: row.bytes })
  }
  const changed = rows.filter(
    (row) => row.version === 0 || differs(row, byKey.get(row.key) as Wanted),
  )
  const created = changed.filter(({ version }) => version === 0)
  const tooMany = await limit.add(tx, { entries: created.length, perDay: addedPerDay() })
  if (tooMany !== null) {
    await removeUnmade(tx, name, byKey)
    throw tooMany
  }
  const moved = changed.filter(
    (row) => row.version > 0 && differsInTicks(row, byKey.get(row.key) as Wanted),
  )
  const decided = await decideFirst(tx, job, moved, caller)
  const gone = created.length > 0 ? await readLastGone(tx) : 0
  const find = createNextTick()
  const results = new Map<string, UpsertedSchedule>(
    rows.map(({ key, version, nextAt }) => [key, { kind: 'unchanged', version, nextAt }]),
  )
  const saved = changed.map((old) => {
    const one = byKey.get(old.key) as Wanted
    const row = decided.get(old.key) ?? old
    const isMoved = old.version === 0 || decided.has(old.key)
    // It has ticks from now on, however far the ledger reaches.
    const cursor = isMoved && row.now > row.cursor ? row.now : row.cursor
    const nextAt = isMoved ? nextOf(one, cursor, find) : row.nextAt
    const version = (old.version === 0 ? gone : row.version) + 1
    results.set(old.key, { kind: old.version === 0 ? 'created' : 'changed', version, nextAt })
    const isLifted = row.refusals > 0 && !hasPayload(row, one)
    return {
      ...toJson(one),
      ...{ version, cursor, nextAt, dueAt: dueOf(nextAt, one.delayMs) },
      tzdata: isMoved ? OWN_TZDATA : row.tzdata,
      isLifted,
    }
  })
  if (saved.length > 0) await tx.query(CHANGE_SQL, [name, JSON.stringify(saved)])
  const groups = Map.groupBy(changed, ({ key }) => JSON.stringify(byKey.get(key)?.by))
  for (const group of groups.values()) {
    const targets = group.map((old) => ({
      name,
      scheduleKey: old.key,
      change: `${tellDefinition(byKey.get(old.key) as Wanted)}, before: ${old.version === 0 ? 'none' : tellDefinition(old)}`,
    }))
    await recordActions(tx, 'reschedule', targets, byKey.get(group[0]?.key ?? '')?.by as Actor)
  }
  return wanted.map(({ key }) => results.get(key) as UpsertedSchedule)

  function addedPerDay(): number {
    const was = ({ version, perDay }: KeyedRow) => (version === 0 ? 0 : perDay)
    return changed.reduce((sum, row) => sum + (byKey.get(row.key)?.perDay ?? 0) - was(row), 0)
  }
}

/** Pauses a schedule: its ticks are skipped until somebody resumes it. */
export async function pauseKeyed(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  request: ActionRequest,
): Promise<'paused' | 'alreadyPaused' | 'notFound'> {
  const { name, by } = checkTarget(job, key, request)
  const [row] = await lockKeys(tx, job, [key])
  if (row === undefined) return 'notFound'
  if (row.pausedAt !== null) return 'alreadyPaused'
  const paused = { pausedAt: row.now, pausedBy: by.actor, pauseReason: by.reason ?? null }
  await saveRows(tx, name, [{ ...row, ...paused }])
  await recordActions(tx, 'pause', [{ name, scheduleKey: key }], by)
  return 'paused'
}

/** Resumes a schedule. What was due until now was due while it was paused, and is skipped. */
export async function resumeKeyed(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  request: Actor,
  caller: Caller,
): Promise<'resumed' | 'notPaused' | 'notFound'> {
  const { name, by } = checkTarget(job, key, request)
  const [row] = await lockKeys(tx, job, [key])
  if (row === undefined) return 'notFound'
  if (row.pausedAt === null) return 'notPaused'
  const decided = (await decideFirst(tx, job, [row], caller)).get(key) ?? row
  const resumed = { pausedAt: null, pausedBy: null, pauseReason: null, refusals: 0 }
  await saveRows(tx, name, [{ ...decided, ...resumed }])
  await recordActions(tx, 'resume', [{ name, scheduleKey: key }], by)
  return 'resumed'
}

/** Deletes a schedule, after what was due of it is decided. Its ticks stay in the ledger, its work in the queue. */
export async function deleteKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: Actor & { ifVersion?: number },
  caller: Caller,
): Promise<'deleted' | 'notFound'> {
  const { name, by } = checkTarget(job, key, request)
  const { ifVersion } = checkParts('request', request, { ifVersion: checkVersion })
  const [row] = await lockKeys(tx, job, [key])
  if (row === undefined) return 'notFound'
  if (ifVersion !== undefined && ifVersion !== row.version) throw changedError(name, row, ifVersion)
  await decideFirst(tx, job, [row], caller)
  await tx.query(DELETE_SQL, [name, key])
  const target = { name, scheduleKey: key, change: `none, before: ${tellDefinition(row)}` }
  await recordActions(tx, 'reschedule', [target], by)
  return 'deleted'
}

/** Enqueues work of a schedule now, beside its ticks, also while it is paused. */
export async function triggerKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: ActionRequest,
  { log, onWork }: Caller,
): Promise<{ kind: 'requested'; workId: string } | { kind: 'notFound' }> {
  const { name, by } = checkTarget(job, key, request)
  const [row] = await lockKeys(tx, job, [key])
  if (row === undefined) return { kind: 'notFound' }
  const id = uuid()
  const previousAt = row.lastAt?.toISOString() ?? null
  const label = labelOf(job, row, log)
  const payload = readPayload(row)
  const workKey = keyOfPayload(job, payload)
  const work = toWork(name, row, {
    id,
    payload,
    previousAt,
    scheduledFor: null,
    label,
    workKey,
    by,
  })
  const { transactionId } = await insertWork(tx, [work])
  await saveRows(tx, name, [{ ...row, openWork: addOpenWork(row.openWork, [id]) }])
  await recordActions(tx, 'run', [{ name, workId: id, scheduleKey: key }], by)
  if (transactionId !== null) onWork(name, transactionId)
  return { kind: 'requested', workId: id }
}

/**
 * Enqueues work for instants of the past that the schedule names and that have none: without a row in the ledger, or missed,
 * skipped or coalesced.
 */
export async function backfillKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: BackfillRequest,
  { log, onWork }: Caller,
): Promise<BackfillOutcome> {
  const { name, by } = checkTarget(job, key, request)
  const { from, to } = checkParts('request', request, { from: checkDate, to: checkDate })
  if (from > to) throw new ArgumentError('from', 'must not be later than to')
  const [row] = await lockKeys(tx, job, [key])
  if (row === undefined) return { kind: 'notFound' }
  const instants: Date[] = []
  const begin = row.startsAt !== null && row.startsAt > from ? row.startsAt : from
  for (const tick of nextTicks(row, new Date(begin.getTime() - 1))) {
    if (tick > to || tick > row.cursor || (row.endsAt !== null && tick > row.endsAt)) break
    if (instants.length === MAX_BACKFILLED)
      throw new ArgumentError(
        'to',
        `is too far from from: there are over ${MAX_BACKFILLED.toLocaleString('en')} ticks in between; do it in parts`,
      )
    instants.push(tick)
  }
  const [before = null] = previousTicks(row, new Date(begin.getTime() - 1), 1)
  const isFirst = before === null || (row.startsAt !== null && before < row.startsAt)
  const previous = new Map(
    instants.map((at, nth) => [at.getTime(), instants[nth - 1] ?? (isFirst ? null : before)]),
  )
  await divideRanges(tx, name, row, instants)
  const ids = instants.map(() => uuid())
  const { rows: written } = await tx.query<{ workId: string; scheduledFor: Date }>(BACKFILL_SQL, [
    name,
    key,
    JSON.stringify(instants.map((scheduledFor, at) => ({ scheduledFor, workId: ids[at] }))),
    row.version,
    `backfilled by ${by.actor}`,
  ])
  const label = labelOf(job, row, log)
  const payload = readPayload(row)
  const workKey = keyOfPayload(job, payload)
  const works = written
    .map((one) => ({ ...one, scheduledFor: toInstant(one.scheduledFor) }))
    .toSorted((one, other) => one.scheduledFor.getTime() - other.scheduledFor.getTime())
    .map(({ workId: id, scheduledFor }) => {
      const previousAt = previous.get(scheduledFor.getTime())?.toISOString() ?? null
      return toWork(name, row, { id, payload, previousAt, scheduledFor, label, workKey, by })
    })
  const transactionId = await insertAll(tx, works)
  const openWork = addOpenWork(
    row.openWork,
    works.map(({ id }) => id),
  )
  await saveRows(tx, name, [{ ...row, openWork }])
  const change = `${written.length.toLocaleString('en')} ticks from ${from.toISOString()} to ${to.toISOString()}`
  await recordActions(tx, 'backfill', [{ name, scheduleKey: key, change }], by)
  if (transactionId !== null) onWork(name, transactionId)
  return { kind: 'backfilled', enqueued: written.length, kept: instants.length - written.length }
}

interface Range {
  scheduledFor: Date
  through: Date
  outcome: string
  reason: string | null
  workerId: string | null
  createdAt: Date
}

/**
 * Divides the rows of the ledger that stand for many ticks, so that those instants have a row of their own to come: what is left of such
 * a row stays before and behind them. Rows by another version, or whose ticks were not counted, stay whole.
 */
async function divideRanges(
  tx: Connection,
  name: string,
  { key, version, ...definition }: KeyedRow,
  instants: readonly Date[],
): Promise<void> {
  const [first, last] = [instants[0], instants.at(-1)]
  if (first === undefined || last === undefined) return
  const { rows: ranges } = await tx.query<Range & { [column: string]: unknown }>(FIND_RANGES_SQL, [
    ...[name, key, version],
    ...[first.toISOString(), last.toISOString(), MAX_COUNTED],
  ])
  if (ranges.length === 0) return
  const parts = ranges.flatMap((range) => {
    const ticks: Date[] = []
    const [begin, end] = [toInstant(range.scheduledFor), toInstant(range.through)]
    for (const tick of nextTicks(definition, new Date(begin.getTime() - 1))) {
      if (tick > end) break
      ticks.push(tick)
    }
    const rest = [ticks.filter((tick) => tick < first), ticks.filter((tick) => tick > last)]
    return rest.flatMap((part) => {
      const [from, through] = [part[0], part.at(-1)]
      if (from === undefined || through === undefined) return []
      const count = part.length
      return [{ ...range, scheduledFor: from, count, through: count > 1 ? through : null }]
    })
  })
  await tx.query(DIVIDE_SQL, [
    ...[name, key, version],
    JSON.stringify(ranges.map(({ scheduledFor }) => scheduledFor)),
    JSON.stringify(parts),
  ])
}

/** What is due of these rows is decided by what they are, before they are changed. */
async function decideFirst(
  tx: Connection,
  job: DecidedJob,
  rows: readonly KeyedRow[],
  { log, onWork }: Caller,
): Promise<Map<string, KeyedRow>> {
  if (rows.length === 0) return new Map()
  const isLatest = async () => false
  const how = { job, workerId: null, isLatest, log }
  const { rows: decided, transactionId } = await decideKeyed(tx, rows, how)
  if (transactionId !== null) onWork(job.name, transactionId)
  return new Map(decided.map((row) => [row.key, row]))
}

async function lockKeys(
  tx: Connection,
  { name, retry }: DecidedJob,
  keys: readonly string[],
): Promise<KeyedRow[]> {
  const pauseS = Math.ceil((retry?.maxDelayMs ?? 300_000) / 1_000)
  const { rows } = await tx.query<KeyedRow>(LOCK_KEYS_SQL, [name, pauseS, keys])
  const read = rows.map((row) => {
    const instants = INSTANTS.map((column) => [column, row[column] && toInstant(row[column])])
    return { ...row, ...Object.fromEntries(instants) } as KeyedRow
  })
  // Many that share a calendar are then due next at one instant, which is found once.
  const now = new Date(Math.max(...read.map((row) => row.now.getTime())))
  return read.map((row) => ({ ...row, now }))
}

const INSTANTS = [
  'startsAt',
  'endsAt',
  'cursor',
  'nextAt',
  'dueAt',
  'lastAt',
  'pausedAt',
  'now',
] as const

/** By now the transaction may be old, and what became due since it began is due. */
const LOCK_KEYS_SQL = lockRowsSql(
  `schedule."key" = any($3::text[]) order by schedule."key" for update`,
  'clock_timestamp()',
)

async function checkVersions(
  tx: Connection,
  name: string,
  rows: readonly KeyedRow[],
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  const other = rows.find(({ key, version }) => {
    const { ifVersion } = wanted.get(key) as Wanted
    return ifVersion !== undefined && ifVersion !== version
  })
  if (other === undefined) return
  await removeUnmade(tx, name, wanted)
  throw changedError(name, other, wanted.get(other.key)?.ifVersion ?? 0)
}

/** A row that has no version yet is of this call, which is refused: the caller may go on with the transaction. */
async function removeUnmade(
  tx: Connection,
  name: string,
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  await tx.query(
    `delete from "JobKeyedSchedule" where "name" = $1::text and "key" = any($2::text[]) and "version" = 0 returning "key"`,
    [name, [...wanted.keys()]],
  )
}

/** Read once the rows are locked, when whoever deleted one of these keys has committed. */
async function readLastGone(tx: Connection): Promise<number> {
  const { rows } = await tx.query<{ gone: number }>(
    `select coalesce(${LAST_GONE}, 0)::int as "gone"`,
  )
  return rows[0]?.gone ?? 0
}

function changedError(name: string, { key, version }: KeyedRow, expected: number): JobError {
  const is = version === 0 ? 'there is none' : `it has version ${version}`
  return new JobError(
    'schedule_changed',
    `The schedule ${tell(key)} of ${name} was to have version ${expected}, and ${is}: read it again`,
    { retryable: false, details: { key, version } },
  )
}

function checkTarget(
  job: Pick<Job, 'name'>,
  key: unknown,
  request: Actor,
): { name: string; by: Actor } {
  const name = checkJobName('job', job)
  checkKey('key', key)
  return { name, by: storableActor(request) }
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

/** What takes a part of a millisecond to find out, and many schedules share. */
interface Calendar {
  problem: FindByCalendar<string | null>
  leastMs: FindByCalendar<number>
}
type FindByCalendar<Found> = (cron: string, timeZone: string) => Found

function remember<Found>(find: FindByCalendar<Found>): FindByCalendar<Found> {
  const known = new Map<string, Found>()
  return (cron, timeZone) => {
    const calendar = JSON.stringify([cron, timeZone])
    const found = known.has(calendar) ? (known.get(calendar) as Found) : find(cron, timeZone)
    known.set(calendar, found)
    return found
  }
}

function checkSchedule(job: Job, given: unknown, within: string, calendar: Calendar): Wanted {
  const one = checkParts(within.slice(0, -1) || 'schedule', given, SCHEDULE, within)
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
    : storablePayload(job, one.payload === undefined ? {} : one.payload)
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new ArgumentError(
      `${within}payload`,
      'has more than 64 kB as JSON: store it in a table, and pass its id',
    )
  const by = storableActor({ actor, ...(reason !== undefined && { reason }) })
  const delayMs = shareOf(job.name, key, jitterMs)
  return {
    ...{ key, cron, timeZone, payload, bytes, missed, catchUpMs, overlap, jitterMs, delayMs },
    ...{ startsAt, endsAt, ifVersion, keepsPayload, by, perDay: ticksOfDay(cron) },
  }
}

function checkCalendar(
  given: { cron: unknown; timeZone: unknown },
  within: string,
  problem: FindByCalendar<string | null> = cronProblem,
): Pick<KeyedDefinition, 'cron' | 'timeZone'> {
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

type Span = Pick<KeyedDefinition, 'startsAt' | 'endsAt'>

export interface PreviewQuery {
  cron: string
  /** IANA name. Default `UTC`. */
  timeZone?: string | undefined
  startsAt?: Date | null | undefined
  endsAt?: Date | null | undefined
  /** Default: now. */
  after?: Date | undefined
  /** How many instants, from 1 to 100. Default 5. */
  count?: number | undefined
}

/** An instant that a schedule names, and what the clocks of its zone show then. */
export interface PreviewedTick extends LocalTime {
  at: Date
}

const PREVIEW = {
  cron: asItIs,
  timeZone: asItIs,
  startsAt: optional(nullable(checkDate)),
  endsAt: optional(nullable(checkDate)),
  after: optional(checkDate),
  count: optional(wholeNumber(1, 100)),
}

/** Lists the next instants that a schedule names, for a page on which somebody sets one. It asks no database. */
export function previewSchedule(query: PreviewQuery): PreviewedTick[] {
  const given = checkParts('query', query, PREVIEW)
  const calendar = checkCalendar(given, '')
  const { startsAt = null, endsAt = null, after = new Date(), count = 5 } = given
  checkSpan({ startsAt, endsAt }, '')
  const { describe } = createLocalTime(calendar.timeZone)
  const ticks: PreviewedTick[] = []
  let at = nextOf({ ...calendar, startsAt, endsAt }, after, nextTick)
  while (at !== null && ticks.length < count) {
    ticks.push({ at, ...describe(at) })
    at = nextOf({ ...calendar, startsAt, endsAt }, at, nextTick)
  }
  return ticks
}

/** Six fields whose seconds are not a single number. */
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

/** The key's own share of the jitter: always the same, and spread evenly over keys. */
function shareOf(name: string, key: string, jitterMs: number): number {
  if (jitterMs === 0) return 0
  const hash = createHash('sha224').update(`${name} ${key}`).digest().readUInt32BE()
  return Math.floor((hash / 2 ** 32) * (jitterMs + 1))
}

function hasPayload(row: KeyedRow, { payload, bytes }: Wanted): boolean {
  return (row.bytes === 0) === (bytes === 0) && isDeepStrictEqual(readPayload(row), payload)
}

function differs(row: KeyedRow, one: Wanted): boolean {
  if (differsInTicks(row, one) || !hasPayload(row, one)) return true
  return (['missed', 'catchUpMs', 'overlap', 'jitterMs'] as const).some(
    (part) => row[part] !== one[part],
  )
}

/** Whether it names other instants. */
function differsInTicks(row: KeyedRow, one: Wanted): boolean {
  return (
    row.cron !== one.cron ||
    row.timeZone !== one.timeZone ||
    row.startsAt?.getTime() !== one.startsAt?.getTime() ||
    row.endsAt?.getTime() !== one.endsAt?.getTime()
  )
}

/** Payloads stay where they are: that it is another is all that is told. */
function tellDefinition(one: KeyedDefinition): string {
  const { cron, timeZone, missed, overlap, jitterMs, catchUpMs, startsAt, endsAt } = one
  return [
    `${cron} in ${timeZone}`,
    ...(startsAt === null ? [] : [`from ${startsAt.toISOString()}`]),
    ...(endsAt === null ? [] : [`to ${endsAt.toISOString()}`]),
    ...(missed === 'once' ? [] : [`missed ${missed}`]),
    ...(overlap === 'skip' ? [] : [`overlap ${overlap}`]),
    ...(jitterMs === 0 ? [] : [`jitter ${jitterMs} ms`]),
    ...(catchUpMs === DAY_MS ? [] : [`catch-up ${catchUpMs} ms`]),
  ].join(', ')
}

function labelOf({ name, label, show, payload }: DecidedJob, row: KeyedRow, log: Caller['log']) {
  if (payload === undefined) return {}
  return labelPayload(
    { name, payload, ...(label !== undefined && { label }), ...(show !== undefined && { show }) },
    readPayload(row),
    log,
  )
}

function toJson({
  ifVersion: _ifVersion,
  keepsPayload: _keepsPayload,
  by: _by,
  ...one
}: Wanted): object {
  return one
}

const DEFINED = `"key" text, "cron" text, "timeZone" text, "missed" text, "catchUpMs" bigint, "overlap" text, "jitterMs" bigint,
    "startsAt" timestamptz, "endsAt" timestamptz, "payload" jsonb, "bytes" int, "delayMs" bigint, "perDay" int`
/** A payload that is JSON's null arrives as no value, as one that is undefined does. */
const PAYLOAD = `case when given."bytes" > 0 then coalesce(given."payload", 'null') end`

/**
 * New rows have no version, and are due at no time, until this call has completed them. A key that an uncommitted transaction
 * holds is waited for, and one that is there is locked, all in the order of the keys.
 */
const INSERT_SQL = `
  insert into "JobKeyedSchedule" ("name", "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "startsAt", "endsAt",
    "payload", "bytes", "delayMs", "cursor", "tzdata")
  select $1::text, "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "startsAt", "endsAt",
    ${PAYLOAD}, "bytes", "delayMs", clock_timestamp(), ''
  from json_to_recordset($2::text::json) as given(${DEFINED})
  order by "key" collate "C"
  on conflict ("name", "key") do update set "version" = 0 where false returning "key"`

/** The engine's own pause ends with what led to it. */
const unlessLifted = (column: string) =>
  `case when given."isLifted" and "refusals" >= ${MAX_REFUSALS} then null else "${column}" end`

const CHANGE_SQL = `
  update "JobKeyedSchedule" schedule
  set "version" = given."version", "cron" = given."cron", "timeZone" = given."timeZone", "missed" = given."missed",
      "catchUpMs" = given."catchUpMs", "overlap" = given."overlap", "jitterMs" = given."jitterMs", "delayMs" = given."delayMs", "perDay" = given."perDay",
      "startsAt" = given."startsAt", "endsAt" = given."endsAt", "payload" = ${PAYLOAD}, "bytes" = given."bytes",
      "cursor" = given."cursor", "nextAt" = given."nextAt", "dueAt" = given."dueAt", "tzdata" = given."tzdata",
      "refusals" = case when given."isLifted" then 0 else "refusals" end,
      "pausedAt" = ${unlessLifted('pausedAt')}, "pausedBy" = ${unlessLifted('pausedBy')}, "pauseReason" = ${unlessLifted('pauseReason')},
      "updatedAt" = clock_timestamp()
  from json_to_recordset($2::text::json) as given(
    ${DEFINED}, "version" int, "cursor" timestamptz, "nextAt" timestamptz, "dueAt" timestamptz, "tzdata" text, "isLifted" boolean
  )
  where schedule."name" = $1::text and schedule."key" = given."key" returning schedule."key"`

/** Of all schedules that were deleted the highest version. It waits for nobody, and no roll-back lowers it. */
const LAST_GONE = `pg_sequence_last_value('roundsman."JobKeyedVersion"'::regclass)`

const DELETE_SQL = `
  with gone as (
    delete from "JobKeyedSchedule" where "name" = $1::text and "key" = $2::text returning "version"
  )
  select nextval('roundsman."JobKeyedVersion"') from gone, generate_series(coalesce(${LAST_GONE}, 0) + 1, gone."version")`

const FIND_RANGES_SQL = `
  select "scheduledFor", "through", "outcome"::text as "outcome", "reason", "workerId", "createdAt" from "JobKeyedTick"
  where "name" = $1::text and "key" = $2::text and "version" = $3::int and "scheduledFor" <= $5::timestamptz
    and "through" >= $4::timestamptz and "count" < $6::int`

/** In one statement nothing is inserted where something was just deleted: what begins where it began is written over. */
const DIVIDE_SQL = `
  with part as materialized (
    select * from json_to_recordset($5::text::json) as part(
      "scheduledFor" timestamptz, "outcome" text, "reason" text, "count" int, "through" timestamptz, "workerId" text, "createdAt" timestamptz
    )
  ), gone as (
    delete from "JobKeyedTick" where "name" = $1::text and "key" = $2::text
      and "scheduledFor" in (select value::timestamptz from json_array_elements_text($4::text::json) as whole(value))
      and "scheduledFor" not in (select "scheduledFor" from part)
    returning "scheduledFor"
  )
  insert into "JobKeyedTick" ("name", "key", "scheduledFor", "outcome", "reason", "count", "through", "version", "workerId", "createdAt")
  select $1::text, $2::text, "scheduledFor", "outcome"::"TickOutcome", "reason", "count", "through", $3::int, "workerId", "createdAt" from part
  on conflict ("name", "key", "scheduledFor") do update set "count" = excluded."count", "through" = excluded."through"
  returning "scheduledFor", (select count(*) from gone)::int as "gone"`

/** What a range that stayed whole stands for is left alone. */
const BACKFILL_SQL = `
  insert into "JobKeyedTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "version")
  select $1::text, $2::text, given."scheduledFor", 'enqueued', $5::text, given."workId", $4::int
  from json_to_recordset($3::text::json) as given("scheduledFor" timestamptz, "workId" uuid)
  where not exists (
    select from "JobKeyedTick" range
    where range."name" = $1::text and range."key" = $2::text and range."scheduledFor" <= given."scheduledFor"
      and range."through" >= given."scheduledFor"
  )
  on conflict ("name", "key", "scheduledFor") do update
  set "outcome" = 'enqueued', "workId" = excluded."workId", "version" = excluded."version", "workerId" = null,
      "reason" = concat_ws(', before: ', excluded."reason", concat_ws(', ', "JobKeyedTick"."outcome"::text, "JobKeyedTick"."reason"))
  where "JobKeyedTick"."outcome" <> 'enqueued'
  returning "workId"::text, "scheduledFor"`
