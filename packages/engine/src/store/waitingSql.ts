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

/** Keeps a call short, however many there are. */
const MAX_CHANGED = 10_000
export const MAX_COUNTED = 100_000

/** Of job `$1`, the work `$2` (null: any) with the label `$3` (null: any). */
const MATCHES = `
  work."name" = $1 and ($2::uuid[] is null or work."id" = any($2::uuid[])) and ($3::text is null or work."label" = $3::text)`

/**
 * Changes what waits by `change`, a statement down to its `from` or `using`; `chosen` has a new place for each piece, in their
 * order. It returns a row for each that it changed, or one without an id. `more` are CTEs that read `changed`.
 */
function changeSql(isWanted: string, change: string, more = ''): string {
  const where = (part: string) =>
    `select work."id" from "JobWork" work where ${MATCHES} and ${part} and ${isWanted}`
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
  ), changed as (
    ${change} chosen where work."id" = chosen."id"
    returning work."id", work."name", work."uniqueKey"
  )${more}, counted as (
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

/** Its JobAction tells that it is cancelled. */
export const CANCEL_WORK_SQL = changeSql(
  'true',
  'delete from "JobWork" work using',
  `, freed as (${releaseKeysSql('changed', 'id')}
  ), emptied as (
    delete from "JobPayload" where "workId" in (select "id" from changed)
  )`,
)

/** Postpones work to the instant `$4`; where that is over, it makes delayed work due. */
export const POSTPONE_WORK_SQL = changeSql(
  `case when $4::timestamptz > now() then work."place" is not null or work."dueAt" < $4::timestamptz
    else work."place" is null and work."dueAt" > now() end`,
  `update "JobWork" work set "dueAt" = greatest($4::timestamptz, now()),
      "place" = case when $4::timestamptz <= now() then chosen."place" end from`,
)

/** Gives work the rank `$4`, and a place behind what has that rank already. */
export const PRIORITISE_WORK_SQL = changeSql(
  'work."rank" <> $4::int',
  `update "JobWork" work set "rank" = $4::int, "place" = case when work."place" is not null then chosen."place" end
    from`,
)
