import {
  askForWork,
  claimSql,
  FOUND_IN_RANGES,
  IS_WANTED,
  keepsPlan,
  rangeValues,
  requestValues,
  toRanges,
  toTaken,
  type Claimed,
  type ClaimOptions,
  type ClaimRequest,
} from './claimWork.ts'
import type { AnyRow, Connection, PreparedStatement } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { GIVES_WAY } from '../database/giveWay.ts'
import { keyOpensAt, throttleOf, type JobRules } from './limitSql.ts'
import { LEAST_RANK } from './place.ts'
import type { Behind } from './taken.ts'

/** The claims under the limits of a job, as the worker last read them. */
export interface KnownClaims {
  /** When the server that answered was started. Another server may have lost claims and places. */
  server: string
  /** It has seen all claims up to this place, and of those at `living` runs go on. */
  seen: string
  living: readonly string[]
}

/** How many pieces of a key the claim asks for, and behind which of its pieces. */
export interface AskedKey {
  key: string
  take: number
  behind: Behind | null
}

/** It takes nothing where the rules are no longer those of the rows. */
export interface ClaimUnderLimits extends Omit<ClaimOptions, 'requests'>, JobRules {
  request: ClaimRequest
  known: KnownClaims | null
  /** In this order, as far as there is room. Null: the job's work in its order, with any key. */
  keys: readonly AskedKey[] | null
}

/** How many may start, not counting the pieces that the claim took. */
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

/** Whether a piece pays for its start: work that goes on after a wait has paid. */
const IS_START = `taken."resumptions" is distinct from 1`

/** The parts that a claim under limits adds. `state` locks and counts, so all later parts depend on it. */
const UNDER = {
  state: `, state as materialized (
    select state.* from alive cross join lateral roundsman."JobLimitState"(:limits::text[], (:names::text[])[1], :keys::text[], :server::text, :seen::bigint, :living::bigint[], :order::text) state
    where alive."isAlive" and ${GIVES_WAY}
  )`,
  limit: `case when exists (select from state) then greatest(0, least(wanted."limit", (select min("free") from state where "limit" is not null))) else 0 end`,
  charged: `, charged as (
    insert into "JobThrottle" ("name", "freeAt")
    select ${throttleOf('state."limit"')}, max(state."from" + (select count(*) from taken where ${IS_START}) * state."startMs" * interval '1 millisecond')
    from state where state."limit" is not null and state."startMs" is not null and exists (select from taken) group by 1
    on conflict ("name") do update set "freeAt" = excluded."freeAt"
  ), charged_keys as (
    insert into "JobKey" ("name", "key", "freeAt")
    select (:names::text[])[1], state."key", state."from" + count(*) filter (where ${IS_START}) * state."startMs" * interval '1 millisecond'
    from state join taken on taken."key" = state."key"
    where state."startMs" is not null group by state."key", state."from", state."startMs"
    on conflict ("name", "key") do update set "freeAt" = excluded."freeAt"
  )`,
  last: `jsonb_build_object(
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
    )`,
}

/** The keys by their share: how much of each, and behind which rank and place. */
const ASKED = `, asked as materialized (
    select asked.*, state."free", state."head"
    from unnest(:keys::text[], :takes::int[], :ranks::int[], :places::bigint[]) with ordinality
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

/** A claim under limits takes few pieces, so PostgreSQL may keep its plan. */
const CLAIM_AS_IT_COMES = prepared(
  'roundsman_claim_limited',
  keepsPlan(claimSql({ ...UNDER, found: FOUND_IN_RANGES })),
)

const CLAIM_BY_KEYS = prepared(
  'roundsman_claim_keys',
  keepsPlan(claimSql({ ...UNDER, state: UNDER.state + ASKED, found: FOUND_BY_KEYS })),
)

/** As CLAIM_SUSPECT. */
const CLAIM_SUSPECT_UNDER = prepared(
  'roundsman_claim_suspect_limited',
  claimSql({
    ...UNDER,
    found: `
      select work.* from "JobWork" work
      where work."name" = wanted."name" and work."place" is not null and work."losses" >= 2 and ${IS_WANTED}
        -- A key that is left from before the job lost its keys does not count.
        and (work."key" is null or :order::text is null or exists (
          select from state where state."key" = work."key" and coalesce(state."free" > 0, true) and coalesce(state."head" = work."id", true)
        ))
      order by work."place"
      limit wanted."limit"
      for update skip locked`,
  }),
)

/** The keys of work that is to run alone, in its order. */
const SUSPECT_KEYS = `
  select distinct "key" from (
    select work."key" from "JobWork" work where work."name" = $1 and work."place" is not null and work."losses" >= 2
    order by work."place" limit 10000
  ) first where "key" is not null`

/**
 * Takes work of one job under its limits, in one statement: so a worker that stops or vanishes midway delays no other. It waits for claims
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
  const statement = suspects
    ? CLAIM_SUSPECT_UNDER
    : keys === null
      ? CLAIM_AS_IT_COMES
      : CLAIM_BY_KEYS
  const { rows, last } = await askForWork(connection, statement, {
    ...requestValues({ workerId, requests, startedAt, suspects }),
    ...rangeValues(requests.flatMap(toRanges)),
    limits,
    keys: asked,
    server: known?.server ?? null,
    seen: known?.seen ?? '0',
    living: known?.living ?? [],
    order,
    ...(keys !== null && {
      takes: keys.map(({ take }) => take),
      ranks: keys.map(({ behind }) => behind?.rank ?? LEAST_RANK),
      places: keys.map(({ behind }) => behind?.place ?? '0'),
    }),
  })
  const answer: (Partial<LimitState> & NonNullable<typeof last>) | null = last
  const isKnown = answer !== null && answer.known != null
  return {
    work: toTaken(rows, requests, startedAt),
    isAlive: answer !== null,
    isCut: (answer?.tooMany ?? 0) > rows.length,
    state: isKnown
      ? ({ ...answer, limits: byName(answer.limits), keys: byName(answer.keys) } as LimitState)
      : null,
  }
}

/** Without a prototype: customers name keys, and a missing key may have the name of an inherited property, such as `constructor`. */
function byName<Value>(answer: Record<string, Value> | undefined): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, answer)
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
