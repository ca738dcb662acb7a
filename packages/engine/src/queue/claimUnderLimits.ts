import {
  askForWork,
  claimSql,
  foundFrom,
  IS_WANTED,
  lastRow,
  rangeValues,
  requestValues,
  toRanges,
  toTaken,
  type ArrayOf,
  type Claimed,
  type ClaimOptions,
  type ClaimRequest,
  type TakenRow,
  type UnderLimits,
} from './claimWork.ts'
import type { AnyRow, Connection, PreparedStatement } from '../database/database.ts'
import { GIVES_WAY } from '../database/giveWay.ts'
import { keyOpensAt, throttleOf, type JobRules } from './limitSql.ts'
import { LEAST_RANK } from './place.ts'
import type { Behind } from './taken.ts'

/** What a worker knows of the claims under the limits of a job. */
export interface KnownClaims {
  /** When the server was started that said so. Another one may have lost claims, and places. */
  server: string
  /** It has seen all claims up to this place, and of those at `living` runs go on. */
  seen: string
  living: readonly string[]
}

/** How much is wanted of one key, and behind which of its pieces. */
export interface AskedKey {
  key: string
  take: number
  behind: Behind | null
}

/** It takes nothing where the rules are no longer those of the rows. */
export interface ClaimUnderLimits extends Omit<ClaimOptions, 'requests'>, JobRules {
  request: ClaimRequest
  known: KnownClaims | null
  /** In this order, as far as there is room. Null: the job's work as it comes, whatever its key. */
  keys: readonly AskedKey[] | null
}

/** How much may start, before what the claim took. */
export interface LimitState {
  known: KnownClaims
  /** Under all limits together, and under each; null: any number. */
  free: number | null
  limits: Record<string, number | null>
  /** Whether one of them is a rate. */
  isRated: boolean
  /** Until when nothing can be free, in milliseconds from now. Null: until a run ends. */
  openInMs: number | null
  /** Of the keys that were asked for and have a limit, how many may start, when one can at the earliest, and how far apart. */
  keys: Record<string, readonly [free: number, openInMs: number | null, startMs: number | null]>
}

export interface ClaimedUnderLimits extends Claimed {
  /** Null: the job's queue is paused, its rules have changed, or this worker does not live. */
  state: LimitState | null
}

/** A day at most: before PostgreSQL 17 nothing can be subtracted from infinity, until which people pause. Null: not by itself. */
const msUntil = (instant: string) =>
  `case when ${instant} > now() then extract(epoch from least(${instant}, now() + interval '1 day') - clock_timestamp())::float8 * 1000 end`

/**
 * What a claim under limits does beside the rest. `state` locks and counts, so all that follows depends on it. Parameters: $8 the
 * limits, $9 the keys, $10 to $12 what the worker knows of claims, $13 the order of keys.
 */
const UNDER: UnderLimits = {
  state: `, state as materialized (
    select state.* from alive cross join lateral roundsman."JobLimitState"($8::text[], ($3::text[])[1], $9::text[], $10::text, $11::bigint, $12::bigint[], $13::text) state
    where alive."isAlive" and ${GIVES_WAY}
  )`,
  wanted: `wanted."name", case when exists (select from state) then greatest(0, least(wanted."limit", (select min("free") from state where "limit" is not null))) else 0 end as "limit",
      wanted."exclusiveKey", wanted."claimId", wanted."expireSeconds", wanted."request"`,
  columns: ', "limits", "place"',
  values: `, $8::text[], nextval('roundsman."JobPlace"')`,
  returning: ', "place" as "own"',
  charged: `, charged as (
    insert into "JobThrottle" ("name", "freeAt")
    select ${throttleOf('state."limit"')}, max(state."from" + (select count(*) from taken) * state."startMs" * interval '1 millisecond')
    from state where state."limit" is not null and state."startMs" is not null and exists (select from taken) group by 1
    on conflict ("name") do update set "freeAt" = excluded."freeAt"
  ), charged_keys as (
    insert into "JobKey" ("name", "key", "freeAt")
    select ($3::text[])[1], state."key", state."from" + count(*) * state."startMs" * interval '1 millisecond'
    from state join taken on taken."key" = state."key"
    where state."startMs" is not null group by state."key", state."from", state."startMs"
    on conflict ("name", "key") do update set "freeAt" = excluded."freeAt"
  )`,
  key: ', "key"',
  told: `${lastRow(`case when "isAlive" then jsonb_build_object(
      'known', (
        select jsonb_build_object('server', "server", 'seen', greatest("seen", "own")::text, 'living', to_jsonb(array_remove("living" || "own", null)::text[]))
        from state left join claimed on true where "server" is not null
      ),
      'free', (select min("free") from state where "limit" is not null),
      'limits', (select jsonb_object_agg("limit", "free") from state where "limit" is not null),
      'isRated', (select coalesce(bool_or("startMs" is not null), false) from state where "limit" is not null),
      'openInMs', (select max(${msUntil('"openAt"')}) from state where "limit" is not null and "free" <= 0),
      'keys', (
        select jsonb_object_agg("key", jsonb_build_array("free", ${msUntil('"openAt"')}, "startMs"))
        from state where "key" is not null and "free" is not null
      )
    ) end`)}, null`,
  isTold: 'true',
}

/** Keys by their share: $14 how much of each, $15 and $16 behind which rank and place. */
const ASKED = (array: ArrayOf) => `, asked as materialized (
    select asked.*, state."free", state."head"
    from unnest(${array('$9::text[]')}, ${array('$14::int[]')}, ${array('$15::int[]')}, ${array('$16::bigint[]')}) with ordinality
      as asked("key", "take", "rank", "place", "at") join state on state."key" = asked."key"
    order by asked."at"
  )`

const FOUND_BY_KEYS = `
      select work.* from asked cross join lateral (
        select * from (
          select work.* from "JobWork" work
          where asked."head" is null and work."name" = wanted."name" and work."key" = asked."key" and work."place" is not null
            and work."losses" < 2 and (work."rank", work."place") > (asked."rank", asked."place") and ${IS_WANTED}
          order by work."rank", work."place"
          limit greatest(0, least(asked."take", asked."free"))
          for update skip locked
        ) next
        union all
        select * from (
          select work.* from "JobWork" work
          where work."id" = asked."head" and work."name" = wanted."name" and work."key" = asked."key" and asked."free" > 0 and work."place" is not null and work."losses" < 2 and ${IS_WANTED}
          for update skip locked
        ) head
      ) work
      limit wanted."limit"`

/** As that of a claim of few: what a claim takes under limits is little. */
const KEEPS_PLAN: ArrayOf = (array) => `(select ${array})`

const CLAIM_AS_IT_COMES: PreparedStatement = {
  name: 'roundsman_claim_limited',
  text: claimSql(foundFrom(14), 'false', KEEPS_PLAN, UNDER),
}

const CLAIM_BY_KEYS: PreparedStatement = {
  name: 'roundsman_claim_keys',
  text: claimSql(() => FOUND_BY_KEYS, 'false', KEEPS_PLAN, {
    ...UNDER,
    state: UNDER.state + ASKED(KEEPS_PLAN),
  }),
}

/** As CLAIM_SUSPECT, of which its last parameter is. */
const CLAIM_SUSPECT_UNDER: PreparedStatement = {
  name: 'roundsman_claim_suspect_limited',
  text: claimSql(
    () => `
      select work.* from "JobWork" work
      where work."name" = wanted."name" and work."place" is not null and work."losses" >= 2 and ${IS_WANTED}
        -- A key that is left from before the job lost its keys does not count.
        and (work."key" is null or $13::text is null or exists (
          select from state where state."key" = work."key" and coalesce(state."free" > 0, true) and coalesce(state."head" = work."id", true)
        ))
      order by work."place"
      limit wanted."limit"
      for update skip locked`,
    '$14::bool',
    (array) => array,
    UNDER,
  ),
}

/** The keys of work that is to run alone, in its order. */
const SUSPECT_KEYS = `
  select distinct "key" from (
    select work."key" from "JobWork" work where work."name" = $1 and work."place" is not null and work."losses" >= 2
    order by work."place" limit 10000
  ) first where "key" is not null`

/**
 * Takes work of one job under its limits, in one statement: so whoever stands still or vanishes holds nobody up. It waits for claims
 * under the same limits, for half a second at most.
 * @throws ClaimConflict
 */
export async function claimUnderLimits(
  connection: Connection,
  { workerId, request, startedAt, suspects, limits, order, known, keys }: ClaimUnderLimits,
): Promise<ClaimedUnderLimits> {
  const requests = [request]
  let asked = keys?.map(({ key }) => key) ?? []
  if (suspects) {
    const { rows } = await connection.query<{ key: string }>(SUSPECT_KEYS, [request.name])
    asked = rows.map(({ key }) => key)
  }
  const values = [
    ...requestValues({ workerId, requests, startedAt }),
    limits,
    asked,
    known?.server ?? null,
    known?.seen ?? '0',
    known?.living ?? [],
    order,
    ...(suspects
      ? [suspects.isAlone]
      : keys === null
        ? rangeValues(requests.flatMap(toRanges))
        : [
            keys.map(({ take }) => take),
            keys.map(({ behind }) => behind?.rank ?? LEAST_RANK),
            keys.map(({ behind }) => behind?.place ?? '0'),
          ]),
  ]
  const statement = suspects
    ? CLAIM_SUSPECT_UNDER
    : keys === null
      ? CLAIM_AS_IT_COMES
      : CLAIM_BY_KEYS
  const rows = await askForWork<TakenRow>(connection, statement, values)
  const told = rows.pop()?.facts as (Partial<LimitState> & object) | null
  const isKnown = told != null && told.known != null
  return {
    work: toTaken(rows, requests, startedAt),
    isAlive: told !== null,
    isCut: (rows[0]?.tooMany ?? 0) > rows.length,
    state: isKnown
      ? ({ ...told, limits: byName(told.limits), keys: byName(told.keys) } as LimitState)
      : null,
  }
}

/** Customers name keys: of one that is missing, such as `constructor`, an object's prototype is not to say anything. */
function byName<Value>(told: Record<string, Value> | undefined): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, told)
}

/** A key that has work to take. */
export interface FoundKey {
  key: string
  /** How long until one can start at the earliest, for what people have paused, others have refused, or a rate; null: no time. */
  openInMs: number | null
}

/** Finds the next `most` keys of a job behind `after` (null: from the first), however much waits of each. */
export async function findKeys(
  connection: Connection,
  name: string,
  after: string | null,
  most: number,
): Promise<FoundKey[]> {
  const { rows } = await connection.query<FoundKey & AnyRow>(FIND_KEYS, [name, after, most])
  return rows
}

const nextKey = (after: string) => `
    select work."key" from "JobWork" work
    where work."name" = $1 and work."place" is not null and work."losses" < 2 and ${after} order by work."key" limit 1`

const FIND_KEYS: PreparedStatement = {
  name: 'roundsman_find_keys',
  text: `
  with recursive found as (
    select coalesce((${nextKey('work."key" > $2')}), (${nextKey('work."key" is not null and $2 is null')})) as "key", 1 as "nth"
    union all
    select (${nextKey('work."key" > found."key"')}), "nth" + 1 from found where found."key" is not null and "nth" < $3::int
  )
  select found."key", ${msUntil('"opens"."at"')} as "openInMs"
  from found left join lateral (${keyOpensAt('$1', 'found."key"')}) "opens" on true
  where found."key" is not null`,
}
