import { randomUUID } from 'node:crypto'
import { checkRequest } from '../arguments/actions.ts'
import { checkId } from '../arguments/argument.ts'
import { checkBulkRequest } from '../arguments/bulk.ts'
import type { Job } from '../job/defineJob.ts'
import { partsAboutSql } from '../read/listWaitingWork.ts'
import type { BulkKind } from '../read/listBulks.ts'
import { runConditions, type ListJobRunsOptions } from '../read/jobRuns.ts'
import { plainReaderOf } from '../read/reader.ts'
import type { Connection } from '../store/database.ts'
import { aboutValues, isAboutSql, type PieceFilter } from '../store/pieceFilter.ts'
import { IN_ORDER } from '../store/waitingSql.ts'
import type { DeadLetterFilter } from '../read/listDeadLetters.ts'
import type { ActionRequest } from './controlJobs.ts'

/** `all`, these ids, or what matches. */
type Which<Filter> = 'all' | { ids: readonly string[] } | Filter
type RunFilter = Omit<ListJobRunsOptions, 'limit' | 'after'>

/**
 * What to do, and to which waiting work, dead letters or, with `cancel`, runs under way. `which` is `'all'`, `{ ids }`,
 * or the filter of `listWaitingWork`, `listDeadLetters` or `listJobRuns`, without its `limit` and `after`.
 */
export type BulkRequest = ActionRequest &
  (
    | { kind: 'cancelWork'; which: Which<PieceFilter> }
    | { kind: 'postponeWork'; which: Which<PieceFilter>; startAfter: Date }
    | { kind: 'prioritiseWork'; which: Which<PieceFilter>; priority: number }
    | {
        kind: 'redrive'
        /** Also dead letters of which any run matches. */
        which: Which<DeadLetterFilter & { runs?: RunFilter }>
        /** Only dead letters of these jobs; others are passed over. */
        jobs?: readonly Pick<Job, 'name'>[] | undefined
      }
    | { kind: 'discard'; which: Which<DeadLetterFilter> }
    | { kind: 'cancel'; which: Which<RunFilter> }
  )

/** What was asked for, as the row has it. The ids are in its parts. */
export interface StoredRequest {
  /** The filter; empty for all, or for ids. */
  which: object
  isByIds?: true
  startAfter?: string
  priority?: number
  jobs?: string[]
  /** What the transactions were of which it knew, and its own. */
  snapshot: string
  transaction: string
}

/** As many as enqueueMany takes. */
const MAX_IN_BULK = 1_000_000
/** Keeps a step short. Two parts fill a page of the table. */
const PART_SIZE = 240

type Wanted = DeadLetterFilter & RunFilter & { ids?: string[]; runs?: RunFilter }

/**
 * Records what is to be done, with the ids of all that match at this moment: what comes later is left alone. Nothing else is changed
 * before the transaction has committed.
 * @returns Its id
 */
export async function startBulk(
  tx: Connection,
  request: BulkRequest,
  { partSize = PART_SIZE } = {},
): Promise<string> {
  const { kind, wanted, jobs, actor, reason, startAfter, priority } = checkBulkRequest(request)
  const { ids, ...filter } = wanted
  const stored: Omit<StoredRequest, 'snapshot' | 'transaction'> = {
    which: filter,
    ...(ids !== undefined && { isByIds: true }),
    ...(jobs !== undefined && { jobs }),
    ...(startAfter !== undefined && { startAfter: startAfter.toISOString() }),
    ...(priority !== undefined && { priority }),
  }
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const chosen = await chooseSql(tx, kind, wanted, parameter)
  const id = randomUUID()
  await tx.query(startSql(chosen, parameter, { id, kind, actor, reason, stored, partSize }), values)
  return id
}

type Parameter = (value: unknown) => string

/** Selects `id` and `name` of what matches, in the order in which it is to be done, one more than an act takes. */
async function chooseSql(
  tx: Connection,
  kind: BulkKind,
  { ids, ...filter }: Wanted,
  parameter: Parameter,
): Promise<string> {
  const isGiven = ids && `"id" = any(${parameter(ids)}::uuid[])`
  switch (kind) {
    case 'cancelWork':
    case 'postponeWork':
    case 'prioritiseWork':
      return isGiven === undefined
        ? choosePiecesSql(filter, parameter)
        : `select "id", "name" from "JobWork" work where ${isGiven} order by ${IN_ORDER}`
    case 'redrive':
    case 'discard': {
      const where = isGiven ?? (await letterCondition(tx, filter, parameter))
      return `
    select "id", "name" from "JobDeadLetter" letter where ${where} order by "failedAt", "id" limit ${MAX_IN_BULK + 1}`
    }
    case 'cancel': {
      const isRunning = { ...filter, outcome: 'running' as const }
      const conditions =
        isGiven === undefined
          ? await runConditions(plainReaderOf(tx), isRunning, parameter)
          : [isGiven, `"status" = 'running'`]
      return `
    select "id", "name" from "JobRunAll" run where ${conditions.join(' and ')}
    order by "startedAt", "id" limit ${MAX_IN_BULK + 1}`
    }
    default:
      return kind satisfies never
  }
}

function choosePiecesSql({ name, ...about }: Wanted, parameter: Parameter): string {
  // The first parameters: partsAboutSql has fixed places for them.
  for (const value of [name ?? null, ...aboutValues(about)]) parameter(value)
  const columns = 'work."id", work."name", work."rank", work."place", work."dueAt"'
  return `
    select work."id", work."name" from ${partsAboutSql(columns, MAX_IN_BULK + 1)}
    order by ${IN_ORDER} limit ${MAX_IN_BULK + 1}`
}

async function letterCondition(
  tx: Connection,
  { runs, name, errorCode, ...about }: Wanted,
  parameter: Parameter,
): Promise<string> {
  // The first parameters, for isAboutSql.
  for (const value of aboutValues(about)) parameter(value)
  const conditions = [isAboutSql('letter', 1)]
  if (name !== undefined) conditions.push(`letter."name" = ${parameter(name)}::text`)
  if (errorCode !== undefined) conditions.push(`letter."errorCode" = ${parameter(errorCode)}::text`)
  if (runs !== undefined) {
    const ofRun = await runConditions(plainReaderOf(tx), runs, parameter)
    const where = ['run."workId" = letter."id"', 'run."name" = letter."name"', ...ofRun]
    conditions.push(`exists (select from "JobRun" run where ${where.join(' and ')})`)
  }
  return conditions.join(' and ')
}

const SEEN = `|| jsonb_build_object('snapshot', pg_current_snapshot()::text, 'transaction', pg_current_xact_id()::text)`

/** One statement, so that all parts are of one moment. */
function startSql(
  chosen: string,
  parameter: Parameter,
  of: {
    id: string
    kind: BulkKind
    actor: string
    reason: string
    stored: object
    partSize: number
  },
): string {
  const id = `${parameter(of.id)}::uuid`
  const facts = [
    `${parameter(of.kind)}::text`,
    `${parameter(JSON.stringify(of.stored))}::jsonb ${SEEN}`,
    `${parameter(of.actor)}::text`,
    `${parameter(of.reason)}::text`,
  ]
  return `
  with found as materialized (${chosen}
  ), chosen as materialized (
    select "id", "name", row_number() over () - 1 as "nth" from found limit ${MAX_IN_BULK}
  ), parts as (
    insert into "JobBulkPart" ("bulkId", "part", "ids")
    select ${id}, "nth" / ${of.partSize}, array_agg("id" order by "nth") from chosen group by 2
    returning "part"
  )
  insert into "JobBulk" ("id", "kind", "request", "actor", "reason", "names", "matched", "isCut", "parts", "movedAt", "endedAt")
  select ${id}, ${facts.join(', ')}, array(select distinct "name" from chosen order by 1),
         (select count(*) from chosen), (select count(*) from found) > ${MAX_IN_BULK}, parts.count, statement_timestamp(),
         case when parts.count = 0 then now() end
  from (select count(*)::int as count from parts) parts
  returning "id"::text as "id"`
}

/**
 * Ends an act before it is done. What it has done stays done.
 * @returns `ended` when it had ended before
 */
export async function stopBulk(
  tx: Connection,
  id: string,
  by: { actor: string },
): Promise<'stopped' | 'ended' | 'notFound'> {
  const bulkId = checkId('id', id)
  const { actor } = checkRequest(by).by
  const { rows } = await tx.query(
    `update "JobBulk" set "endedAt" = now(), "stoppedBy" = $2 where "id" = $1::uuid and "endedAt" is null
     returning "id"::text as "id"`,
    [bulkId, actor],
  )
  if (rows.length > 0) return 'stopped'
  const found = await tx.query(`select "id" from "JobBulk" where "id" = $1::uuid`, [bulkId])
  return found.rows.length > 0 ? 'ended' : 'notFound'
}
