import type { Details } from '../job/handler.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import { IS_ATTEMPT_UNDER_WAY } from './attemptSql.ts'
import type { HeldClaim } from './claimWork.ts'
import type { Connection } from './database.ts'
import { GIVES_WAY } from './giveWay.ts'
import { SHORTEST_EXPIRY_S } from './expireSeconds.ts'
import { toColumn } from './toColumn.ts'

/** The end of a run, as its row is to record it. */
export interface EndToRecord {
  ended: {
    run: { id: string } & WorkLabel
    held?: Pick<HeldClaim, 'takenAt'>
    endedAt: Date
    failure: { error: { code: string } } | null
    /** Its log lines and its result, as JSON. Default: none. */
    logs?: string | null | undefined
    result?: string | null | undefined
  }
  /** Its details as JSON, merged into what the run's batches have counted; null when there are none. */
  details: string | null
}

/** The runs that this worker's statement ended, by id, with their whole details. */
type Recorded = Map<string, Details | null>

/** Deletes claims and starts without a run that is under way. Returns the ids of those that somebody has locked: they stay. */
export async function letGo(
  connection: Connection,
  claims: readonly HeldClaim[],
): Promise<ReadonlySet<string>> {
  const ids = claims.map(({ id }) => id)
  const { rows } = await connection.query<{ id: string }>(LET_GO_SQL, [ids])
  return new Set(rows.map(({ id }) => id))
}

const deleteFreeSql = (table: string) => `
    delete from ${table} where "id" in (
      select "id" from ${table} where "id" = any($1::uuid[]) order by "id" for update skip locked
    ) returning "id"`

const LET_GO_SQL = `
  with claims as (${deleteFreeSql('"JobClaim"')}
  ), starts as (${deleteFreeSql('"JobStart"')}
  )
  select "id"::text as "id" from "JobClaim" where "id" = any($1::uuid[]) and "id" not in (select "id" from claims)
  union
  select "id"::text from "JobStart" where "id" = any($1::uuid[]) and "id" not in (select "id" from starts)`

/** The error of runs that would have succeeded, had the queue not given their work up before. */
export const EXPIRED = {
  code: 'expired',
  message: 'The queue had given up the work before the run ended',
}

/**
 * Ends runs, completes the work of those that succeeded, and deletes claims, with one statement. Completed work leaves the
 * queue, since its run is the record of it; work that the queue has given out again stays. A run that is missing in the
 * answer was no longer this worker's: somebody else has ended it. A run does not succeed when the queue has given its work up
 * or wants to give it out again.
 */
export async function settleWork(
  connection: Connection,
  workerId: string,
  ends: readonly EndToRecord[],
  claims: readonly Pick<HeldClaim, 'id' | 'hasStart'>[],
): Promise<{ recorded: Recorded; expired: readonly string[] }> {
  const sql = ends.every(({ ended }) => isFresh(ended.held)) ? SETTLE_FRESH : SETTLE
  const isTelling = ends.some(({ ended }) => tells(ended))
  const { rows } = await connection.query<{
    ended: string[] | null
    expired: string[] | null
    details: Record<string, Details>
  }>(isTelling ? sql.telling : sql.plain, [
    workerId,
    toColumn(ends.map(({ ended }) => ended.run.id)),
    toColumn(ends.map(({ ended }) => ended.endedAt)),
    toColumn(ends.map(({ ended }) => ended.failure?.error.code ?? null)),
    toColumn(ends.map(({ details }) => details)),
    claims.map(({ id }) => id),
    ends.length,
    JSON.stringify({ error: EXPIRED } satisfies Details),
    claims.flatMap(({ id, hasStart }) => (hasStart ? [id] : [])),
    ...(isTelling ? toldValues(ends) : []),
  ])
  const [{ ended: endedIds, expired, details } = { ended: [], expired: null, details: {} }] = rows
  const ids = endedIds ?? ends.map(({ ended }) => ended.run.id)
  return { recorded: new Map(ids.map((id) => [id, details[id] ?? null])), expired: expired ?? [] }
}

/** A column that a run's end may fill. */
interface ToldColumn {
  name: string
  /** Its type in PostgreSQL; the statement gets texts. */
  type: string
  valueOf: (ended: EndToRecord['ended']) => string | null | undefined
  /** Whether a run that has expired leaves it empty. Default: no. */
  isOfSuccess?: boolean
}

/** What few ends say beside their details. Add a column here: both statements that end runs fill it. */
const TOLD: readonly ToldColumn[] = [
  { name: 'logs', type: 'jsonb', valueOf: ({ logs }) => logs },
  { name: 'result', type: 'jsonb', valueOf: ({ result }) => result, isOfSuccess: true },
]

/** Whether an end fills any of these columns. */
export const tells = (ended: EndToRecord['ended']) =>
  TOLD.some(({ valueOf }) => (valueOf(ended) ?? null) !== null)

/** The values of these columns, as the last parameters of a statement. */
export const toldValues = (ends: readonly EndToRecord[]) =>
  TOLD.map(({ valueOf }) => toColumn(ends.map(({ ended }) => valueOf(ended) ?? null)))

const toldSql = ({ name, type }: ToldColumn) => `"end"."${name}"::${type}`

/** Both statements have nine parameters before these. */
export const TOLD_SQL = {
  parameters: TOLD.map((_, at) => `$${10 + at}::text[]`).join(', '),
  names: TOLD.map(({ name }) => `"${name}"`).join(', '),
  values: TOLD.map(toldSql).join(', '),
}

/** With the half minute that an answer may take, this is far below the shortest expiry. */
const FRESH_MS = 30_000

/** Whether no attempt of the claim can have expired, even if the machine slept meanwhile. */
function isFresh({ takenAt }: Pick<HeldClaim, 'takenAt'> = {}): boolean {
  return (
    takenAt !== undefined &&
    performance.now() - takenAt.monotonic < FRESH_MS &&
    Math.abs(Date.now() - takenAt.date) < FRESH_MS
  )
}

/**
 * Finds ends that an earlier commit recorded whose answer never came, with their whole details: this worker ended the run at
 * the same moment with the same code. Any other end is somebody else's.
 */
export async function findSettled(
  connection: Connection,
  workerId: string,
  ends: readonly EndToRecord[],
): Promise<Recorded> {
  if (ends.length === 0) return new Map()
  const { rows } = await connection.query<{ id: string; details: Details | null }>(
    FIND_SETTLED_SQL,
    [
      workerId,
      toColumn(ends.map(({ ended }) => ended.run.id)),
      toColumn(ends.map(({ ended }) => ended.endedAt)),
      toColumn(ends.map(({ ended }) => ended.failure?.error.code ?? null)),
    ],
  )
  return new Map(rows.map(({ id, details }) => [id, details]))
}

const FIND_SETTLED_SQL = `
  select run."id"::text as "id", run."details"
  from unnest($2::uuid[], $3::timestamptz[], $4::text[]) as "end"(id, at, code)
    join "JobRun" run on run."id" = "end".id
  where run."id" = any($2::uuid[]) and run."status" <> 'running' and run."workerId" = $1
    and run."endedAt" = "end".at and run."errorCode" is not distinct from "end".code`

/**
 * Whether a run's attempt has expired. It looks the work up only for runs old enough for that: one statement wrote both, by
 * the database's clock.
 */
const IS_EXPIRED = `("end".code is null and run."workId" is not null
  and run."createdAt" < now() - interval '${SHORTEST_EXPIRY_S} seconds' and not ${IS_ATTEMPT_UNDER_WAY})`

/**
 * It waits for no row of the queue: a transaction of the host that has replaced one piece of work may want the next one, and
 * PostgreSQL would end that transaction if each waited for the other.
 *
 * `array(select unnest(…))` has PostgreSQL look the runs up by their ids, however many it takes them for. All are
 * ended as a rule, and few have details: then neither is sent back one by one. `state` as a text keeps PostgreSQL from
 * looking through all active work for each that is completed.
 */
const settleSql = (isExpired: string, isTelling: boolean) => `
  with ended as (
    update "JobRun" run
    set "status" = (case when "end".code is null and not ${isExpired} then 'success' else 'failed' end)::"JobRunStatus",
        "endedAt" = "end".at, "errorCode" = case when ${isExpired} then '${EXPIRED.code}' else "end".code end,
        "details" = coalesce(run."details" || ${detailsSql(isExpired)}, run."details", ${detailsSql(isExpired)})
        ${isTelling ? TOLD.map((column) => `, ${setToldSql(column, isExpired)}`).join('') : ''}
    from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[]${isTelling ? `, ${TOLD_SQL.parameters}` : ''})
      as "end"(id, at, code, details${isTelling ? `, ${TOLD_SQL.names}` : ''})
    where run."id" = any(array(select unnest($2::uuid[]))) and run."id" = "end".id
      and run."status" = 'running' and run."workerId" = $1 and ${GIVES_WAY}
    returning run."id", run."details", run."name", run."workId", run."attempt", run."errorCode",
              "end".code is null and run."errorCode" is not null as "isExpired"
  ), work as materialized (
    select job.name, job.id, ended."errorCode" is null as "isDone"
    from ended join pgboss.job job on job.name = ended."name" and job.id = ended."workId"
      and job.retry_count = ended."attempt" - 1 and job.state::text = 'active'
    for update of job nowait
  ), completed as (
    delete from pgboss.job job using work
    where work."isDone" and job.name = work.name and job.id = work.id and job.state::text = 'active'
  ), let_go as (
    delete from "JobClaim" where "id" = any($6::uuid[])
  ), let_go_starts as (
    delete from "JobStart" where "id" = any($9::uuid[])
  )
  select case when count(*) <> $7::int then coalesce(array_agg("id"::text), '{}') end as "ended",
         array_agg("id"::text) filter (where "isExpired") as "expired",
         coalesce(jsonb_object_agg("id", "details") filter (where "details" is not null), '{}') as "details"
  from ended`

const setToldSql = (column: ToldColumn, isExpired: string) =>
  `"${column.name}" = ${column.isOfSuccess ? `case when not ${isExpired} then ${toldSql(column)} end` : toldSql(column)}`

const detailsSql = (isExpired: string) =>
  `case when ${isExpired} then coalesce("end".details::jsonb, '{}') || $8::jsonb else "end".details::jsonb end`

const SETTLE = { plain: settleSql(IS_EXPIRED, false), telling: settleSql(IS_EXPIRED, true) }
/** For fresh claims: PostgreSQL evaluates IS_EXPIRED several times for each run. */
const SETTLE_FRESH = { plain: settleSql('false', false), telling: settleSql('false', true) }
