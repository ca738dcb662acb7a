import { v7 as uuid } from 'uuid'
import { describeIssues, judge, SCHEMA_FAILED } from '../values/askSchema.ts'
import { checkDate } from '../values/argument.ts'
import type { Job } from '../job/defineJob.ts'
import { JobError } from '../job/jobError.ts'
import { labelWork, type WorkLabel } from '../job/labelWork.ts'
import { keyOfWork } from '../job/limits.ts'
import type { Logger } from '../job/logger.ts'
import { createMask } from '../values/maskText.ts'
import { readableLine } from '../values/storableText.ts'
import { recordActions } from '../queue/recordActions.ts'
import { MAX_ENQUEUED_BY_LENGTH } from '../arguments/enqueueOptions.ts'
import type { Connection } from '../database/database.ts'
import { insertWork, type WorkToInsert } from '../queue/insertWork.ts'
import { decideTicks, type TickDecision } from './decideTicks.ts'
import { dueTicks, MAX_COUNTED, MAX_LISTED, type DueTicks } from './dueTicks.ts'
import { findUnfinished } from './isUnfinished.ts'
import {
  dueOf,
  INSTANTS,
  MAX_REFUSALS,
  nextOf,
  NOT_PAUSED,
  OWN_TZDATA,
  POSTPONED_MS,
  toInstant,
  type StoredSchedule,
} from './storedSchedule.ts'
import { createNextTick } from './nextTicks.ts'

/** Maximum of ids of open work in a schedule's row. */
const MAX_OPEN_WORK = 100
/** Maximum bytes of work in one statement, and roughly in a worker's transaction: a string of Node and a row have limits. */
const MAX_INSERTED_BYTES = 8 * 2 ** 20

export interface DecidedTick extends TickDecision {
  name: string
  key: string
  version: number
  workId: string | null
}

/** The parts of a job that a decision needs. A program that deletes a schedule may know only the job's name. */
export type DecidedJob = Pick<Job, 'name'> &
  Partial<Pick<Job, 'payload' | 'label' | 'show' | 'redact' | 'retry' | 'partition'>>

export interface HowToDecide {
  jobOf: (name: string) => DecidedJob
  /** Null if a change decides the due ticks, by the definition before it and without jitter. */
  workerId: string | null
  /** Whether a refusal by the schema is final: only for the version that defines the schedule. */
  isLatest: (name: string) => Promise<boolean>
  log: Pick<Logger, 'warn' | 'error'>
  tzdata?: string
}

export interface DecidedRows {
  /** The rows written into the ledger, the oldest first. */
  ticks: DecidedTick[]
  /** The transaction that inserted work. Null if there was no work. */
  transactionId: string | null
  /** The new state of the rows. If the work of the first rows is very large, a worker leaves out the last ones. */
  rows: StoredSchedule[]
}

/** The decision about one row. */
interface Decided {
  row: StoredSchedule
  ticks: DecidedTick[]
  work: WorkToInsert[]
  /** Paused by this decision, since its payload is no longer valid. */
  isPausedNow: boolean
  /** The payload is valid again, which ends the pause. */
  isResumed: boolean
  /** A description of how newer time zone rules have moved its next tick. */
  moved: string | null
}

/**
 * Decides the due ticks of these rows, which the caller has locked. It writes the ledger, the work of new ticks and the cursors
 * in the caller's transaction. The row's `nextAt` is the first due tick, even if this process would compute another: only newer
 * time zone rules may move it.
 */
export async function decideRows(
  tx: Connection,
  rows: readonly StoredSchedule[],
  how: HowToDecide,
): Promise<DecidedRows> {
  const { jobOf, log, tzdata = OWN_TZDATA } = how
  const nextTick = createNextTick()
  const asked = new Map<string, Promise<boolean>>()
  const isLatest = (name: string) => {
    const answer = asked.get(name) ?? how.isLatest(name)
    asked.set(name, answer)
    return answer
  }
  const mayBeDue = rows.filter(
    ({ overlap, nextAt, now, ...row }) =>
      overlap === 'skip' && nextAt !== null && (nextAt <= now || row.tzdata < tzdata),
  )
  const pauseOf = (name: string) => jobOf(name).retry?.maxDelayMs ?? MAX_PAUSE_MS
  const isUnfinished = await findUnfinished(tx, mayBeDue, pauseOf)
  const decided: Decided[] = []
  const unread: StoredSchedule[] = []
  let [count, bytes] = [0, 0]
  for (const row of rows) {
    if (how.workerId !== null && bytes > MAX_INSERTED_BYTES) break
    count++
    try {
      const situation = { isUnfinished: isUnfinished(row), nextTick }
      const one = await decideRow(row, { ...how, isLatest }, situation)
      bytes += one.work.length * row.bytes
      decided.push(one)
    } catch (error) {
      // The expression or the zone belongs to a later version, or a person has written the row.
      const { name, key } = row
      log.error({ err: error, name, key }, 'a schedule cannot be decided here')
      unread.push(row)
      if (how.workerId === null) decided.push(decideUnread(row))
    }
  }
  const written = await writeLedger(
    tx,
    how.workerId,
    decided.flatMap(({ ticks }) => ticks),
  )
  const ids = new Set(written.map(({ workId }) => workId))
  const transactionId = await insertAll(
    tx,
    decided.flatMap(({ work }) => work).filter(({ id }) => ids.has(id)),
  )
  await saveRows(
    tx,
    decided.map(({ row }) => row).filter((row) => !unread.includes(row)),
  )
  if (how.workerId !== null && unread.length > 0) {
    const until = new Date((rows[0] as StoredSchedule).now.getTime() + POSTPONED_MS)
    const which = unread.map(({ name, key }) => ({ name, key }))
    await tx.query(POSTPONE_SQL, [JSON.stringify(which), until])
  }
  await record(tx, how.workerId, decided)
  const kept = new Map(decided.map(({ row }) => [`${row.name} ${row.key}`, row]))
  const known = rows.slice(0, count).map((row) => kept.get(`${row.name} ${row.key}`) ?? row)
  return { ticks: written, transactionId, rows: known }
}

/** For a job of which the program knows only the name. */
const MAX_PAUSE_MS = 300_000

/** Inserts work with as many statements as its payloads need, and returns the transaction. Null if there was no work. */
export async function insertAll(
  tx: Connection,
  work: readonly WorkToInsert[],
): Promise<string | null> {
  let transactionId: string | null = null
  let [part, bytes]: [WorkToInsert[], number] = [[], 0]
  for (const one of work) {
    part.push(one)
    bytes += one.bytes
    if (bytes <= MAX_INSERTED_BYTES) continue
    ;({ transactionId } = await insertWork(tx, part))
    ;[part, bytes] = [[], 0]
  }
  return (await insertWork(tx, part)).transactionId ?? transactionId
}

async function decideRow(
  given: StoredSchedule,
  how: HowToDecide,
  {
    isUnfinished,
    nextTick,
  }: { isUnfinished: boolean; nextTick: ReturnType<typeof createNextTick> },
): Promise<Decided> {
  const { workerId, tzdata: own = OWN_TZDATA } = how
  const { name, key } = given
  for (const column of INSTANTS) if (given[column] !== null) checkDate(column, given[column])
  let known: Fit | undefined
  const fits = () => (known ??= fitPayload(how, given))
  const isResumed = await isPauseOver(given, how, fits)
  const row = isResumed ? { ...given, ...NOT_PAUSED } : given
  const isLater = own > row.tzdata
  const nextAt = isLater ? nextOf(row, row.cursor, nextTick) : row.nextAt
  const moved =
    isLater && row.tzdata !== '' && nextAt?.getTime() !== row.nextAt?.getTime()
      ? `next at ${tellInstant(nextAt)}, before: ${tellInstant(row.nextAt)}, by the time zones of ${own}, before: ${row.tzdata}`
      : null
  const tzdata = isLater ? own : row.tzdata
  const undecided = { ...row, nextAt, dueAt: dueOf(nextAt, row.delayMs), tzdata }
  const end = new Date(row.now.getTime() - (workerId === null ? 0 : row.delayMs))
  if (nextAt === null || nextAt > end)
    return { row: undecided, ticks: [], work: [], isPausedNow: false, isResumed, moved }
  const due = await listDue(row, nextAt, end, nextTick)
  const isPaused = row.pausedAt !== null
  // Jitter must not make a tick late, also if a change decides it earlier.
  const now = new Date(row.now.getTime() - row.delayMs)
  const wanted = decideTicks(row, due, { now, isPaused, isUnfinished })
  const fit: Fit = wanted.some(isEnqueued) ? fits() : NOT_ASKED
  // An invalid payload of the code's own schedule fails as a run, where people see it.
  const isRefused = fit.kind === 'refused' && key !== '' && (await how.isLatest(name))
  const decisions = isRefused ? wanted.map(refuse) : wanted
  const cursor = due.listed.at(-1) as Date
  const following = nextOf(row, cursor, nextTick)
  const ticks = decisions.map((decision) => ({
    ...decision,
    name,
    key,
    version: row.version,
    workId: isEnqueued(decision) ? uuid() : null,
  }))
  let { lastAt } = row
  const payload = readPayload(row)
  const work = ticks.flatMap(({ scheduledFor, workId: id }): WorkToInsert[] => {
    if (id === null) return []
    const previousAt = lastAt?.toISOString() ?? null
    lastAt = scheduledFor
    return [toWork(row, { id, payload, previousAt, scheduledFor, ...fit })]
  })
  const refusals = isRefused ? row.refusals + 1 : fit.kind === 'fits' ? 0 : row.refusals
  const isGivenUp = isRefused && refusals >= MAX_REFUSALS
  if (isGivenUp)
    how.log.warn(
      { name, key, problem: createMask(how.jobOf(name).redact)(fit.problem) },
      'a schedule is paused: its payload does not fit its job any more',
    )
  return {
    row: {
      ...undecided,
      cursor,
      nextAt: following,
      dueAt: dueOf(following, row.delayMs),
      // The next tick was computed by this process's rules.
      tzdata: own,
      lastAt,
      openWork: addOpenWork(
        row,
        work.map(({ id }) => id),
      ),
      refusals,
      ...(isGivenUp && {
        pausedAt: row.now,
        pausedBy: workerId,
        pauseReason: DOES_NOT_FIT,
      }),
    },
    ticks,
    work,
    isPausedNow: isGivenUp,
    isResumed,
    moved,
  }
}

/** Whether the schedule is paused because the job's schema refused its payload, and the latest version accepts it. */
async function isPauseOver(row: StoredSchedule, how: HowToDecide, fits: () => Fit) {
  if (how.workerId === null || row.pausedAt === null || row.refusals < MAX_REFUSALS) return false
  return fits().kind !== 'refused' && (await how.isLatest(row.name))
}

/** A program that changes an unreadable schedule keeps its first tick on record. */
function decideUnread(row: StoredSchedule): Decided {
  const { name, key, version, nextAt, now } = row
  const decided = { row, ticks: [], work: [], isPausedNow: false, isResumed: false, moved: null }
  if (nextAt === null || !(nextAt <= now) || nextAt.getUTCFullYear() < 1) return decided
  const outcome = row.pausedAt === null ? ('missed' as const) : ('skipped' as const)
  const reason = `what changed the schedule could not read it: which ticks followed until ${now.toISOString()} is not known`
  const how = { outcome, reason, count: 1, through: null, workId: null }
  return { ...decided, ticks: [{ name, key, version, scheduledFor: nextAt, ...how }] }
}

/** The schedule that an action concerns. */
export function targetOf({ name, key }: Pick<StoredSchedule, 'name' | 'key'>) {
  return { name, ...(key !== '' && { scheduleKey: key }) }
}

const isEnqueued = ({ outcome }: TickDecision) => outcome === 'enqueued'
const tellInstant = (instant: Date | null) => instant?.toISOString() ?? 'never'

/** The schema's own message may quote the payload, so it goes only to the log. */
const DOES_NOT_FIT = 'the payload does not fit'

function refuse(decision: TickDecision): TickDecision {
  if (decision.outcome !== 'enqueued' && decision.outcome !== 'coalesced') return decision
  return { ...decision, outcome: 'skipped', reason: DOES_NOT_FIT }
}

/** The ticks from `first` up to `end`. `first` is due even if the calendar of this process does not have it. */
async function listDue(
  row: StoredSchedule,
  first: Date,
  end: Date,
  nextTick: ReturnType<typeof createNextTick>,
): Promise<DueTicks> {
  const following = nextOf(row, first, nextTick)
  if (following === null || following > end) return { listed: [first], earlier: null }
  const through = row.endsAt !== null && row.endsAt < end ? row.endsAt : end
  const { listed, earlier } = await dueTicks(row, first, through)
  if (earlier !== null) {
    const isOver = earlier.isOver || earlier.count === MAX_COUNTED
    const count = isOver ? MAX_COUNTED : earlier.count + 1
    return { listed, earlier: { ...earlier, from: first, count, isOver } }
  }
  if (listed.length < MAX_LISTED) return { listed: [first, ...listed], earlier: null }
  return { listed, earlier: { count: 1, isOver: false, from: first, through: first } }
}

type Fit = { label: WorkLabel; workKey?: string | undefined } & (
  | { kind: 'fits' | 'notAsked' }
  | { kind: 'refused'; problem: string }
)

const NOT_ASKED = { kind: 'notAsked' as const, label: {} }

/** Validates the payload with the job's schema, which is foreign code. */
function fitPayload({ jobOf, log }: HowToDecide, row: StoredSchedule): Fit {
  const job = jobOf(row.name)
  const { payload: schema } = job
  if (schema === undefined) return NOT_ASKED
  // Another version may accept it nevertheless.
  const workKey = (job.partition ?? null) === null ? undefined : ''
  const refused = (problem: string): Fit => ({ kind: 'refused', problem, label: {}, workKey })
  const answer = judge(schema, readPayload(row))
  if (answer.kind === 'refused') return refused(describeIssues(answer.issues))
  const label = labelWork(job, answer.value, log)
  try {
    return { kind: 'fits', label, workKey: keyOfWork(job, answer.value) }
  } catch (error) {
    return refused(error instanceof JobError ? error.message : SCHEMA_FAILED)
  }
}

export function readPayload({ payload }: Pick<StoredSchedule, 'payload'>): unknown {
  return payload === null ? undefined : (JSON.parse(payload) as unknown)
}

/** The work for a tick or, with `by`, for the request of a person. */
export function toWork(
  row: Pick<StoredSchedule, 'name' | 'key' | 'timeZone' | 'bytes'>,
  of: {
    id: string
    payload: unknown
    previousAt: string | null
    scheduledFor: Date | null
    label: WorkLabel
    /** The key of its share, if the job divides its work. */
    workKey?: string | undefined
    by?: { actor: string; reason?: string }
  },
): WorkToInsert {
  const { id, payload, previousAt, scheduledFor, label, workKey, by } = of
  const { name, key, timeZone, bytes } = row
  return {
    id,
    name,
    bytes,
    key: workKey,
    envelope: {
      payload,
      trigger: scheduledFor === null ? 'manual' : 'schedule',
      ...(scheduledFor !== null && { scheduledFor: scheduledFor.toISOString() }),
      ...(key !== '' && {
        schedule: { key, timeZone, previousAt },
        enqueuedBy: readableLine(`schedule ${key}`, MAX_ENQUEUED_BY_LENGTH),
      }),
      ...label,
      ...by,
    },
  }
}

export function addOpenWork(
  { key, openWork }: Pick<StoredSchedule, 'key' | 'openWork'>,
  ids: readonly string[],
): string {
  if (key === '') return ''
  const all = [...openWork.split(',').filter((id) => id !== ''), ...ids]
  return all.slice(-MAX_OPEN_WORK).join(',')
}

/** Writes the rows that the ledger lacks, and returns them. */
async function writeLedger(
  tx: Connection,
  workerId: string | null,
  ticks: readonly DecidedTick[],
): Promise<DecidedTick[]> {
  if (ticks.length === 0) return []
  type Place = Pick<DecidedTick, 'name' | 'key' | 'scheduledFor'>
  const { rows } = await tx.query<Place>(
    `insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "count", "through", "version", "workerId")
     select "name", "key", "scheduledFor", "outcome"::"TickOutcome", "reason", "workId", "count", "through", "version", $1::text
     from json_to_recordset($2::text::json) as tick(
       "name" text, "key" text, "scheduledFor" timestamptz, "outcome" text, "reason" text, "workId" uuid, "count" int,
       "through" timestamptz, "version" int
     )
     on conflict do nothing returning "name", "key", "scheduledFor"`,
    [workerId, JSON.stringify(ticks)],
  )
  const toId = ({ name, key, scheduledFor }: Place) =>
    `${toInstant(scheduledFor).getTime()} ${name} ${key}`
  const written = new Set(rows.map(toId))
  return ticks
    .filter((tick) => written.has(toId(tick)))
    .toSorted((one, other) => one.scheduledFor.getTime() - other.scheduledFor.getTime())
}

export async function saveRows(tx: Connection, rows: readonly StoredSchedule[]): Promise<void> {
  if (rows.length === 0) return
  await tx.query(SAVE_SQL, [JSON.stringify(rows, SAVED)])
}

/** Without payloads: they may be large, and have not changed. */
const SAVED = [
  ...['name', 'key', 'cursor', 'nextAt', 'dueAt', 'tzdata', 'lastAt', 'openWork'],
  ...['refusals', 'pausedAt', 'pausedBy', 'pauseReason'],
]

/** Saves the new state of locked rows. */
const SAVE_SQL = `
  update "JobSchedule" schedule
  set "cursor" = saved."cursor", "nextAt" = saved."nextAt", "dueAt" = saved."dueAt", "tzdata" = saved."tzdata",
      "lastAt" = saved."lastAt", "openWork" = string_to_array(saved."openWork", ',')::uuid[], "refusals" = saved."refusals",
      "pausedAt" = saved."pausedAt", "pausedBy" = saved."pausedBy", "pauseReason" = saved."pauseReason"
  from json_to_recordset($1::text::json) as saved(
    "name" text, "key" text, "cursor" timestamptz, "nextAt" timestamptz, "dueAt" timestamptz, "tzdata" text, "lastAt" timestamptz,
    "openWork" text, "refusals" int, "pausedAt" timestamptz, "pausedBy" text, "pauseReason" text
  )
  where schedule."name" = saved."name" and schedule."key" = saved."key" returning schedule."key"`

/** Postpones rows without writing their values back: PostgreSQL may hold values that JSON cannot. */
const POSTPONE_SQL = `
  update "JobSchedule" schedule set "dueAt" = $2::timestamptz
  from json_to_recordset($1::text::json) as unread("name" text, "key" text)
  where schedule."name" = unread."name" and schedule."key" = unread."key" returning schedule."key"`

/** Records the engine's own actions: a pause because of an invalid payload, the end of that pause, and a moved next tick. */
async function record(
  tx: Connection,
  workerId: string | null,
  decided: readonly Decided[],
): Promise<void> {
  const actor = workerId ?? 'program'
  const targets = (which: (one: Decided) => string | null) =>
    decided.flatMap((one) => {
      const change = which(one)
      return change === null ? [] : [{ ...targetOf(one.row), change }]
    })
  const paused = targets(({ isPausedNow }) => (isPausedNow ? DOES_NOT_FIT : null))
  if (paused.length > 0) await recordActions(tx, 'pause', paused, { actor })
  const resumed = targets(({ isResumed }) => (isResumed ? 'the payload fits again' : null))
  if (resumed.length > 0) await recordActions(tx, 'resume', resumed, { actor })
  const moved = targets((one) => one.moved)
  if (moved.length > 0) await recordActions(tx, 'reschedule', moved, { actor })
}
