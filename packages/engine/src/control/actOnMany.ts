import { createHash } from 'node:crypto'
import { checkActOnMany, refuseForeignMark, refuseMark } from '../arguments/actOnMany.ts'
import type { Job } from '../job/defineJob.ts'
import { runConditions, type ListJobRunsOptions } from '../read/jobRuns.ts'
import type { DeadLetterFilter } from '../read/listDeadLetters.ts'
import { partsAboutSql } from '../read/listWaitingWork.ts'
import { plainReaderOf } from '../read/reader.ts'
import type { Connection } from '../database/database.ts'
import { DISCARD_DEAD_LETTERS_SQL } from '../queue/deadLetterSql.ts'
import { aboutValues, isAboutSql, type PieceFilter } from '../queue/pieceFilter.ts'
import { rankOf } from '../queue/place.ts'
import { CHANGE_PIECES_SQL, IN_ORDER, LATER } from '../queue/waitingSql.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'
import { redriveLetters } from './deadLetters.ts'
import { recordMany } from '../queue/recordActions.ts'

export const MANY_KINDS = [
  'cancelWork',
  'postponeWork',
  'prioritiseWork',
  'redrive',
  'discard',
  'cancel',
] as const

export const PASSED_REASONS = [
  'gone',
  'locked',
  'unchanged',
  'alreadyQueued',
  'unknown',
  'endedWorkers',
  'cancelled',
] as const

/**
 * Reasons why an act skips pieces.
 *   gone           A given id is not waiting, running or a dead letter, or it has changed since the first call.
 *   locked         Another transaction held it at that moment.
 *   unchanged      It already was in the requested state, or is due later anyway.
 *   alreadyQueued  Other work has its unique key.
 *   unknown        It belongs to none of the given jobs.
 *   endedWorkers   Two or more workers have died while they ran it. `redriveDeadLetters` can retry it by itself.
 *   cancelled      It has steps and was cancelled: its steps may have been undone. `redriveDeadLetters` can retry it by itself.
 */
export type PassedReason = (typeof PASSED_REASONS)[number]

/** `all`, these ids, or a filter. */
type Which<Filter> = 'all' | { ids: readonly string[] } | Filter
type RunFilter = Omit<ListJobRunsOptions, 'limit' | 'after'>

/**
 * An action and its targets: waiting work, dead letters or, for `cancel`, runs under way. `which` is `'all'`, `{ ids }`, or the
 * filter of `listWaitingWork`, `listDeadLetters` or `listJobRuns`, without its `limit` and `after`.
 */
export type ActOnManyRequest = ActionRequest & {
  /**
   * The `mark` that the previous call returned. All other parts of the request must be the same. Default: this is the first
   * call.
   */
  mark?: string | undefined
} & (
    | { kind: 'cancelWork'; which: Which<PieceFilter> }
    | { kind: 'postponeWork'; which: Which<PieceFilter>; startAfter: Date }
    | { kind: 'prioritiseWork'; which: Which<PieceFilter>; priority: number }
    | {
        kind: 'redrive'
        /** `runs` also matches dead letters with a matching run. */
        which: Which<DeadLetterFilter & { runs?: RunFilter }>
        /** Only dead letters of these jobs; others are skipped. */
        jobs?: readonly Pick<Job, 'name'>[] | undefined
      }
    | { kind: 'discard'; which: Which<DeadLetterFilter> }
    | { kind: 'cancel'; which: Which<RunFilter> }
  )

export interface ActOnManyOutcome {
  done: number
  /** Pieces that this call has skipped, by reason. Later calls do not return to them. */
  passed: Partial<Record<PassedReason, number>>
  /** Pieces that later calls still have to check. Exact up to 10,000, which also stands for more. */
  left: number
  /** Pass it to the next call. If `left` is 0, later calls do nothing. */
  mark: string
}

/** Limits a call, and the locks on its pieces, to some tenths of a second. */
const MAX_PIECES = 1_000
const MAX_LEFT = 10_000

/** The facts that the first call fixes, and the progress of the calls. */
interface Mark {
  /** The tables of the act. */
  tables: string
  /** Later calls skip pieces that this snapshot does not contain, or that the first call's transaction has written. */
  snapshot: string
  transaction: string
  /** Later calls skip runs that began after this instant. */
  at: string
  /** The number of given ids that were checked, or the position of the last piece in the order of the act. */
  after: number | Place | null
}

type Place = readonly (string | null)[]
/** The parts of all filters. */
export type Wanted = DeadLetterFilter & RunFilter & { ids?: string[]; runs?: RunFilter }
type Request = ReturnType<typeof checkActOnMany>

/**
 * Acts on the next pieces, up to a thousand, and records them. The first call fixes the set: later calls skip pieces that came
 * later or have changed since, for example work that the act has retried and that has failed again.
 */
export async function actOnMany(
  tx: Connection,
  given: ActOnManyRequest,
  onWork: OnCommit,
  most = MAX_PIECES,
): Promise<ActOnManyOutcome> {
  const request = checkActOnMany(given)
  const before = request.mark === undefined ? null : readMark(request.mark, request)
  const { done: targets, passed, left, mark } = await takeNext(tx, request, before, most)
  await recordMany(tx, request.kind, targets, request.by)
  if (request.kind === 'redrive' || request.kind === 'postponeWork')
    for (const name of new Set(targets.map((one) => one.name))) onWork(name, mark.transaction)
  const counts = Object.entries(passed).filter(([, count]) => count > 0)
  return {
    done: targets.length,
    passed: Object.fromEntries(counts),
    left,
    mark: writeMark({ ...mark, ...before, after: mark.after }, request),
  }
}

interface Chosen {
  [column: string]: unknown
  tables: string
  snapshot: string
  transaction: string
  at: string
  ids: string[]
  names: string[]
  /** The number of pieces found, including those locked by others. */
  met: number
  left: number
  /** The position of the last of these in the order of the act. */
  last: Place | null
}

async function takeNext(tx: Connection, request: Request, before: Mark | null, most: number) {
  const { ids } = request.wanted
  const from = typeof before?.after === 'number' ? before.after : 0
  const given = ids?.slice(from, from + most)
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const source = await findSource(tx, request, given, before, parameter)
  const { rows } = await tx.query<Chosen>(nextSql(source, parameter(most)), values)
  const [chosen] = rows as [Chosen]
  const { tables, snapshot, transaction, at, met, last } = chosen
  if (before !== null && before.tables !== tables) throw refuseForeignMark()
  const { done, passed } = await act(tx, request, chosen)
  const gone = given === undefined ? 0 : given.length - met
  return {
    done,
    passed: { gone, locked: met - chosen.ids.length, ...passed },
    left: ids === undefined ? chosen.left : Math.max(0, ids.length - from - most),
    mark: {
      ...{ tables, snapshot, transaction, at },
      after: given === undefined ? (last ?? before?.after ?? null) : from + given.length,
    },
  }
}

type Parameter = (value: unknown) => string

/** Matching pieces that were not checked yet. */
interface Source {
  from: string
  order: string
  /** The columns of the order. */
  place: readonly string[]
  /** The table of the rows to lock. */
  lockedIn?: string
}

async function findSource(
  tx: Connection,
  { kind, wanted }: Request,
  given: readonly string[] | undefined,
  before: Mark | null,
  parameter: Parameter,
): Promise<Source> {
  const { ids: _ids, ...filter } = wanted
  const after = typeof before?.after === 'object' ? before.after : null
  switch (kind) {
    case 'cancelWork':
    case 'postponeWork':
    case 'prioritiseWork': {
      const place = ['"rank"', '"place"', '"dueAt"', '"id"']
      const columns = `work."name", work.xmin as "version", ${place.map((column) => `work.${column}`).join(', ')}`
      const from =
        given === undefined
          ? piecesSql(columns, filter, after, before, parameter)
          : `select ${columns} from "JobWork" work
             where ${[isGiven('work', given, parameter), ...isOfAct('work', before, parameter)].join(' and ')}`
      return { from, order: IN_ORDER, place, lockedIn: 'JobWork' }
    }
    case 'redrive':
    case 'discard': {
      const conditions =
        given === undefined
          ? await letterConditions(tx, filter, parameter)
          : [isGiven('letter', given, parameter)]
      conditions.push(...isOfAct('letter', before, parameter))
      return {
        from: `select letter."id", letter."name", letter.xmin as "version", letter."failedAt" from "JobDeadLetter" letter
          where ${[...conditions, ...comesAfter('letter."failedAt"', 'letter."id"', after, parameter)].join(' and ')}`,
        order: '"failedAt", "id"',
        place: ['"failedAt"', '"id"'],
        lockedIn: 'JobDeadLetter',
      }
    }
    case 'cancel': {
      const isRunning = { ...filter, outcome: 'running' as const }
      const conditions =
        given === undefined
          ? await runConditions(plainReaderOf(tx), isRunning, parameter)
          : [isGiven('run', given, parameter), `run."status" = 'running'`]
      if (before !== null)
        conditions.push(`run."createdAt" <= ${parameter(before.at)}::timestamptz(3)`)
      return {
        from: `select run."id", run."name", run."startedAt" from "JobRunAll" run
          where ${[...conditions, ...comesAfter('run."startedAt"', 'run."id"', after, parameter)].join(' and ')}`,
        order: '"startedAt", "id"',
        place: ['"startedAt"', '"id"'],
      }
    }
    default:
      return kind satisfies never
  }
}

/**
 * Chooses the next pieces in the order of the act, locks those that no other transaction holds, and counts the pieces behind
 * them. It also skips a piece that another transaction has changed since this statement began: its row then has another
 * version.
 * Race: packages/engine/test/control/actOnMany.test.ts "do each piece that matched at their first call at most once, and touch nothing that came or changed since"
 */
function nextSql({ from, order, place, lockedIn }: Source, most: string): string {
  const free =
    lockedIn === undefined
      ? 'select "id" from chosen'
      : `select piece."id" from "${lockedIn}" piece join chosen on chosen."id" = piece."id" and chosen."version" = piece.xmin
         for update of piece skip locked`
  return `
  with found as materialized (
    select work.*, row_number() over (order by ${order}) as "nth" from (
      ${from} order by ${order} limit ${MAX_PIECES + MAX_LEFT}
    ) work
  ), chosen as materialized (
    select * from found where "nth" <= ${most}::int
  ), free as materialized (
    ${free}
  )
  select array(select "id"::text from chosen where "id" in (select "id" from free) order by "nth") as "ids",
         array(select "name" from chosen where "id" in (select "id" from free) order by "nth") as "names",
         (select count(*)::int from chosen) as "met", (select count(*)::int from found where "nth" > ${most}::int) as "left",
         (select jsonb_build_array(${place.map((column) => `${column}::text`).join(', ')}) from chosen order by "nth" desc limit 1) as "last",
         pg_current_snapshot()::text as "snapshot", pg_current_xact_id()::text as "transaction", clock_timestamp()::text as "at",
         (select extract(epoch from min("appliedAt"))::text from "JobMigration") as "tables"`
}

const isGiven = (of: string, ids: readonly string[], parameter: Parameter) =>
  `${of}."id" = any(${parameter(ids)}::uuid[])`

function comesAfter(at: string, id: string, after: Place | null, parameter: Parameter): string[] {
  if (after === null) return []
  const [lastAt, lastId] = after.slice(-2).map(parameter)
  return [`(${at}, ${id}) > (${lastAt}::timestamptz, ${lastId}::uuid)`]
}

/** The waiting work behind `after`: first work with a place, then work without one. */
function piecesSql(
  columns: string,
  { name, ...about }: Wanted,
  after: Place | null,
  before: Mark | null,
  parameter: Parameter,
): string {
  // First, because partsAboutSql uses fixed numbers for these parameters.
  for (const value of [name ?? null, ...aboutValues(about)]) parameter(value)
  const seen = isOfAct('work', before, parameter)
  const [rank, place, dueAt, id] = after ?? []
  const isBehind =
    after === null
      ? []
      : place === null
        ? ['false']
        : [
            `(work."rank", work."place", work."dueAt", work."id") > (${parameter(rank)}::int, ${parameter(place)}::bigint, ${parameter(dueAt)}::timestamptz, ${parameter(id)}::uuid)`,
          ]
  const isLaterBehind =
    place === null
      ? [`(work."dueAt", work."id") > (${parameter(dueAt)}::timestamptz, ${parameter(id)}::uuid)`]
      : []
  const parts = partsAboutSql(columns, MAX_PIECES + MAX_LEFT, {
    later: [LATER, ...isLaterBehind, ...seen].join(' and '),
    placed: ['true', ...isBehind, ...seen].join(' and '),
  })
  return `select work.* from ${parts}`
}

async function letterConditions(
  tx: Connection,
  { runs, name, errorCode, ...about }: Wanted,
  parameter: Parameter,
): Promise<string[]> {
  // First, because isAboutSql uses fixed numbers for these parameters.
  for (const value of aboutValues(about)) parameter(value)
  const conditions = [isAboutSql('letter', 1)]
  if (name !== undefined) conditions.push(`letter."name" = ${parameter(name)}::text`)
  if (errorCode !== undefined) conditions.push(`letter."errorCode" = ${parameter(errorCode)}::text`)
  if (runs !== undefined) {
    const ofRun = await runConditions(plainReaderOf(tx), runs, parameter)
    const where = ['run."workId" = letter."id"', 'run."name" = letter."name"', ...ofRun]
    conditions.push(`exists (select from "JobRun" run where ${where.join(' and ')})`)
  }
  return conditions
}

/** More transactions than may begin while a statement runs. */
const AHEAD = 1_000_000
/** The greatest transaction number that a row visible to a statement can have. */
const GREATEST_XID = `(select pg_snapshot_xmax(pg_current_snapshot())::text::bigint + ${AHEAD})`

/**
 * Whether the first call could see this version of a row. `xmin` has the last 32 bits of a transaction's number, and does not
 * change when PostgreSQL freezes the row.
 */
function isOfAct(of: string, before: Mark | null, parameter: Parameter): string[] {
  if (before === null) return []
  const xid = `(${GREATEST_XID} - ((${GREATEST_XID} - ${of}.xmin::text::bigint) & ${2 ** 32 - 1}))::text::xid8`
  return [
    `${of}.xmin <> ${parameter(before.transaction)}::xid8::xid`,
    `pg_visible_in_snapshot(${xid}, ${parameter(before.snapshot)}::pg_snapshot)`,
  ]
}

interface Target {
  [column: string]: unknown
  name: string
  id: string
}

type Acted = Pick<ActOnManyOutcome, 'passed'> & { done: readonly Target[] }

async function act(tx: Connection, request: Request, chosen: Chosen): Promise<Acted> {
  const { kind, startAfter, priority = 0 } = request
  switch (kind) {
    case 'cancelWork':
      return await changeThese(tx, CHANGE_PIECES_SQL[kind], [chosen.ids])
    case 'postponeWork':
      return await changeThese(tx, CHANGE_PIECES_SQL[kind], [chosen.ids, startAfter?.toISOString()])
    case 'prioritiseWork':
      return await changeThese(tx, CHANGE_PIECES_SQL[kind], [chosen.ids, rankOf(priority)])
    case 'redrive': {
      const { jobs, by } = request
      const known = chosen.ids.filter((_, at) => jobs?.includes(chosen.names[at] as string) ?? true)
      const { redriven, unawaited: _, ...passed } = await redriveLetters(tx, known, by)
      const done = redriven.map(({ name, workId }) => ({ name, id: workId }))
      return { done, passed: { unknown: chosen.ids.length - known.length, ...passed } }
    }
    case 'discard': {
      const { rows } = await tx.query<{ name: string; workId: string }>(DISCARD_DEAD_LETTERS_SQL, [
        chosen.ids,
      ])
      return { done: rows.map(({ name, workId }) => ({ name, id: workId })), passed: {} }
    }
    case 'cancel': {
      const { actor, reason } = request.by
      return await changeThese(tx, CANCEL_RUNS_SQL, [chosen.ids, chosen.names, actor, reason])
    }
    default:
      return kind satisfies never
  }
}

/**
 * Requests the cancellation of the runs `$1` of the jobs `$2`, for the person `$3` and the reason `$4`. Their workers look once
 * a second.
 */
const CANCEL_RUNS_SQL = `
  insert into "JobCancel" ("runId", "name", "requestedBy", "reason")
  select "id", "name", $3::text, $4::text from unnest($1::uuid[], $2::text[]) run("id", "name")
  on conflict do nothing returning "runId"::text as "id", "name"`

/** Runs a statement that returns the changed ids of its first parameter. */
async function changeThese(
  tx: Connection,
  sql: string,
  values: readonly [ids: readonly string[], ...unknown[]],
): Promise<Acted> {
  const { rows } = await tx.query<Target>(sql, values)
  return { done: rows, passed: { unchanged: values[0].length - rows.length } }
}

const writeMark = (mark: Mark, request: Request): string => {
  const text = Buffer.from(JSON.stringify(mark)).toString('base64url')
  return `${text}.${digestOf(text, request)}`
}

function readMark(mark: string, request: Request): Mark {
  const [text = '', digest] = mark.split('.')
  if (digest === digestOf(text, request))
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as Mark
  throw refuseMark()
}

/** A mark belongs to one request; its actor, reason and jobs may differ between calls. */
function digestOf(text: string, { kind, wanted, startAfter, priority }: Request): string {
  const request = JSON.stringify([kind, wanted, startAfter, priority])
  return createHash('sha256').update(request).update(text).digest('base64url').slice(0, 16)
}
