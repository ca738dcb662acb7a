import type { Connection, PreparedStatement } from '../database/database.ts'
import { abandonChildrenSql, endChildrenSql } from './children.ts'
import { RUNS_UNDER_WAY } from './heldRuns.ts'
import { PLACE_SQL } from './place.ts'
import { releaseKeysSql } from './uniqueKeys.ts'

/*
 * How people change work that waits. These statements, like a claim, skip rows that others have locked: a piece of work is
 * either taken or changed, never both.
 */

/**
 * The parts of JobWork as `work`, in the order in which workers take them, and the order of each. Every index of names holds
 * one: for a condition on the name alone PostgreSQL would read the whole table.
 */
export const READY = `work."place" is not null and work."losses" < 2`
export const SUSPECT = `work."place" is not null and work."losses" >= 2`
export const LATER = `work."place" is null`
export const IN_PLACE = `work."rank", work."place"`
export const IN_TIME = `work."dueAt", work."id"`
/** The order of all parts together. */
export const IN_ORDER = `work."place" is null, case when work."place" is not null then work."rank" end, work."place", ${IN_TIME}`

/** The longest pause before work starts again that has lost workers. */
export const MAX_BACK_OFF_MS = 60_000
/** Keeps a call short, however many there are. */
const MAX_CHANGED = 10_000
export const MAX_COUNTED = 100_000

/** Of job `$1`, the work `$2` (null: any) with the label `$3` and the key `$4` (null: any). */
const MATCHES = `
  work."name" = $1 and ($2::uuid[] is null or work."id" = any($2::uuid[])) and ($3::text is null or work."label" = $3::text)
  and ($4::text is null or work."key" = $4::text)`

/** A change of waiting work: `value` is the parameter with the new value. */
interface Change {
  isWanted(value: string): string
  /** CTEs down to `changed`. `chosen` has a new place for each piece, in their order. */
  changed(value: string): string
}

const CHANGED = 'work."id", work."name", work."uniqueKey", work."payloadId"'
/** Changes by one statement, of which `statement` is the part down to its `from`. */
const changedBy = (statement: string) => `changed as (
    ${statement} chosen where work."id" = chosen."id"
    returning ${CHANGED}
  )`

const IS_CANCELLED = `(work."facts" -> 'cancelled' is not distinct from 'true')`
/**
 * Durable work that has done steps, or may have, is woken once instead, so that it can undo them. A second cancellation ends it.
 * A run stores its rows before its work waits again, so a snapshot with the waiting work has them.
 */
const COMPENSATES = `(not ${IS_CANCELLED} and (
      work."resumptions" is not null
      or exists (select from "JobStep" step where step."workId" = work."id" and step."doubtSince" is not null)
    ))`
const CANCEL: Change = {
  isWanted: () => 'true',
  changed: () => `ended as (
    delete from "JobWork" work using chosen where work."id" = chosen."id" and not ${COMPENSATES} returning ${CHANGED}
  ), woken as (
    update "JobWork" work set "facts" = coalesce(work."facts", '{}') || '{"cancelled": true}', "dueAt" = now(), "place" = chosen."place"
    from chosen where work."id" = chosen."id" and ${COMPENSATES} returning ${CHANGED}
  ), changed as (
    select * from ended union all select * from woken
  ), freed as (${releaseKeysSql('ended', 'id')}
  ), children as (${endChildrenSql('ended', 'id', `'cancelled'`)}
  ), abandoned as (${abandonChildrenSql('ended', 'id')}
  ), emptied as (
    delete from "JobPayload" where "id" in (select "payloadId" from ended where "payloadId" is not null)
  )`,
}
const MAX_ABANDONED = 1_000

/**
 * Cancels children whose parents were cancelled, whether they wait or run. Those that it finds in neither state stay fresh, for the
 * next look: a claim has just taken them.
 * Race: packages/engine/test/steps/childrenKilled.test.ts "are cancelled with their parent, whether they wait or run"
 */
const CANCEL_ABANDONED: PreparedStatement = {
  name: 'roundsman_cancel_abandoned',
  text: `
  with child as materialized (
    select "parentId", "step", "item", "at", "workId" from "JobChild" where "isFresh" and "endedAt" is null
    limit ${MAX_ABANDONED} for update skip locked
  ), chosen as materialized (
    select "id", ${PLACE_SQL} as "place" from (
      select work."id" from "JobWork" work where work."id" in (select "workId" from child) and not ${IS_CANCELLED}
      for update skip locked
    ) work
  ), ${CANCEL.changed('')}, running as materialized (
    select run."id", run."name", run."workId" from ${RUNS_UNDER_WAY} where run."workId" in (select "workId" from child)
  ), asked as (
    insert into "JobCancel" ("runId", "name", "requestedBy", "reason")
    select "id", "name", 'its parent', 'the parent was cancelled' from running on conflict do nothing
  ), told as (
    update "JobChild" one set "isFresh" = false from child
    where one."parentId" = child."parentId" and one."step" = child."step" and one."item" = child."item" and one."at" = child."at"
      and (child."workId" in (select "id" from woken union all select "workId" from running)
        or (select ${IS_CANCELLED} from "JobWork" work where work."id" = child."workId"))
  )
  select coalesce(array_agg(distinct "name"), '{}') as "names" from woken`,
}

/** Returns the jobs of which work has become due. */
export async function cancelAbandoned(connection: Connection): Promise<readonly string[]> {
  const { rows } = await connection.query<{ names: string[] }>(CANCEL_ABANDONED, [])
  return rows[0]?.names ?? []
}

/** Postpones work to an instant; where that is over, it makes delayed work due. */
const POSTPONE: Change = {
  isWanted: (
    at,
  ) => `case when ${at}::timestamptz > now() then work."place" is not null or work."dueAt" < ${at}::timestamptz
    else work."place" is null and work."dueAt" > now() end`,
  changed: (at) =>
    changedBy(`update "JobWork" work set "dueAt" = greatest(${at}::timestamptz, now()),
      "place" = case when ${at}::timestamptz <= now() then chosen."place" end from`),
}
/** Gives work a rank, and a place behind all work of that rank. */
const PRIORITISE: Change = {
  isWanted: (rank) => `work."rank" <> ${rank}::int`,
  changed: (rank) =>
    changedBy(`update "JobWork" work set "rank" = ${rank}::int,
      "place" = case when work."place" is not null then chosen."place" end from`),
}

/**
 * Changes what waits of a job. It returns a row for each piece that it changed, or one without an id.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
function changeSql(what: Change): string {
  const value = '$5'
  const where = (part: string) =>
    `select work."id" from "JobWork" work where ${MATCHES} and ${part} and ${what.isWanted(value)}`
  const choose = (part: string, order: string, others: readonly string[]) => `
    ${where(part)} order by ${order}
    limit ${[MAX_CHANGED, ...others.map((other) => `(select count(*) from ${other})`)].join(' - ')}
    for update skip locked`
  return `
  with ready as materialized (${choose(READY, IN_PLACE, [])}
  ), suspect as materialized (${choose(SUSPECT, IN_PLACE, ['ready'])}
  ), later as materialized (${choose(LATER, IN_TIME, ['ready', 'suspect'])}
  ), chosen as materialized (
    select "id", ${PLACE_SQL} as "place" from (
      select "id" from ready union all select "id" from suspect union all select "id" from later
    ) work
  ), ${what.changed(value)}, counted as (
    select count(*) as count from (
      ${[READY, SUSPECT, LATER].map((part) => `(${where(part)})`).join(' union all ')}
      limit ${MAX_CHANGED + MAX_COUNTED}
    ) one
  )
  select changed."id"::text as "workId", "left"."count" as "left", pg_current_xact_id()::text as "transactionId"
  from (
    select greatest(0, (select count from counted) - (select count(*) from chosen))::int as "count"
  ) "left" left join changed on true`
}

/** Its JobAction records the cancellation. */
export const CANCEL_WORK_SQL = changeSql(CANCEL)
export const POSTPONE_WORK_SQL = changeSql(POSTPONE)
export const PRIORITISE_WORK_SQL = changeSql(PRIORITISE)

/**
 * Changes the pieces `$1` as far as they need it, in their order. Their transaction has locked them.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
function changePiecesSql(what: Change): string {
  return `
  with chosen as materialized (
    select "id", ${PLACE_SQL} as "place" from (
      select work."id" from unnest($1::uuid[]) with ordinality given("id", "nth") join "JobWork" work on work."id" = given."id"
      where ${what.isWanted('$2')} order by given."nth"
    ) work
  ), ${what.changed('$2')}
  select "id"::text as "id", "name" from changed`
}

/** By the kinds of acts on many. `$2` is the new value. */
export const CHANGE_PIECES_SQL = {
  cancelWork: changePiecesSql(CANCEL),
  postponeWork: changePiecesSql(POSTPONE),
  prioritiseWork: changePiecesSql(PRIORITISE),
}
