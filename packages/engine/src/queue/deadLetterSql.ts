import { CARRIED_COLUMNS, carriedValues } from './carried.ts'
import { reopenChildrenSql } from './children.ts'
import type { EnvelopeRow } from './envelope.ts'
import { LATEST_RUN_FIRST } from './heldRuns.ts'
import { goOnSql, isFailedStepSql, seqOfSql } from './stepSql.ts'
import { isAboutSql } from './pieceFilter.ts'

/*
 * Dead letters: work that has used up its attempts, or that retrying cannot fix. It stays with its error until a person or program
 * redrives or discards it.
 */

/** Dead letters of job `$1` (null: any) with the code `$2` (null: any), about `$6` to `$10`. */
const IS_WANTED = `
  ($1::text is null or letter."name" = $1) and ($2::text is null or letter."errorCode" = $2) and ${isAboutSql('letter', 6)}`
/** After the position `$3` and `$4` (null: from the first). */
const IS_AFTER = `($3::timestamptz is null or (letter."failedAt", letter."id") < ($3::timestamptz, $4::uuid))`
const LATEST_FIRST = `letter."failedAt" desc, letter."id" desc`

export const LIST_DEAD_LETTERS_SQL = `
  select letter."id"::text as "workId", letter."name", letter."label", letter."key", letter."facts" -> 'shown' as "shown",
         letter."attempt" as "attempts", letter."losses", letter."enqueuedAt", letter."failedAt", letter."failedAt"::text as "position",
         jsonb_build_object('code', letter."errorCode", 'message', letter."errorMessage") as "error", run."id"::text as "runId"
  from (
    select * from "JobDeadLetter" letter where ${IS_WANTED} and ${IS_AFTER} order by ${LATEST_FIRST} limit $5::int
  ) letter
  -- The last attempt, by the index of what runs were attempts at.
  left join lateral (
    select run."id" from "JobRun" run where run."workId" = letter."id"
    order by run."attempt" desc, ${LATEST_RUN_FIRST} limit 1
  ) run on true
  order by ${LATEST_FIRST}`

/** The ids and positions of dead letters, of all or of the ids `$11`. */
export const CHOOSE_DEAD_LETTERS_SQL = `
  select letter."id"::text as "id", letter."name", letter."failedAt"::text as "at" from "JobDeadLetter" letter
  where ${IS_WANTED} and ${IS_AFTER} and ($11::uuid[] is null or letter."id" = any($11::uuid[]))
  order by ${LATEST_FIRST} limit $5::int`

/** An index finds the runs of each dead letter. This many take some tenths of a second. */
const MAX_LETTERS_LOOKED_AT = 10_000

/** Counts those of the latest dead letters of job `$1` that have a matching run: `conditions` are those of `run`. */
export const countLettersOfRunsSql = (conditions: readonly string[]) => `
  with looked as materialized (
    select letter."id", letter."name" from "JobDeadLetter" letter
    where ($1::text is null or letter."name" = $1)
    order by ${LATEST_FIRST} limit ${MAX_LETTERS_LOOKED_AT}
  )
  select count(*)::int as "count", (select count(*) from looked) = ${MAX_LETTERS_LOOKED_AT} as "isCut" from looked
  where exists (
    select from "JobRun" run
    where ${['run."workId" = looked."id"', 'run."name" = looked."name"', ...conditions].join(' and ')}
  )`

/** Counts dead letters, up to `$5`. */
export const COUNT_DEAD_LETTERS_SQL = `
  select count(*)::int as "count" from (
    select from "JobDeadLetter" letter where ${IS_WANTED} and ${IS_AFTER} order by ${LATEST_FIRST} limit $5::int
  ) counted`

/** Counts the last `$5` dead letters by code. */
export const LIST_CODES_SQL = `
  select "errorCode" as "code", count(*)::int as "count", min("failedAt") as "firstAt", max("failedAt") as "lastAt",
         (sum(count(*)) over () >= $5::int or count(*) over () > $11::int) as "isCut"
  from (
    select * from "JobDeadLetter" letter where ${IS_WANTED} and ${IS_AFTER} order by ${LATEST_FIRST} limit $5::int
  ) letter
  group by 1 order by count(*) desc, max("failedAt") desc, 1 limit $11::int`

export const FIND_DEAD_LETTER_SQL = `
  select letter."name" from "JobDeadLetter" letter where letter."id" = $1::uuid`

/**
 * Of the dead letters `$1`, those that have ended a step with the item `$3` and with the name that `$2` has at the same place; and, with a
 * null name, those without any step.
 */
export const FIND_STEPS_SQL = `
  select distinct on (wanted."workId") wanted."workId"::text as "workId", step."name"
  from unnest($1::uuid[], $2::text[]) as wanted("workId", "name")
    left join "JobStep" step on step."workId" = wanted."workId" and step."name" = wanted."name" and step."item" = $3::text and step."endedAt" is not null
  where step."name" is not null or not exists (select from "JobStep" other where other."workId" = wanted."workId")
  order by wanted."workId", step."seq"`

/**
 * Discards the dead letters `$1`, except locked ones: another transaction redrives or discards those.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
export const DISCARD_DEAD_LETTERS_SQL = `
  with gone as (
    delete from "JobDeadLetter" letter where letter."id" = any(array(
      select "id" from "JobDeadLetter" where "id" = any($1::uuid[]) for update skip locked
    ))
    returning letter."name", letter."id", letter."payloadId"
  ), payload as (
    delete from "JobPayload" where "id" in (select "payloadId" from gone where "payloadId" is not null)
  ), bare as (
    -- pruneJobRuns deletes the steps of the others together with their last run.
    select "id" from gone where not exists (select from "JobRun" run where run."workId" = gone."id")
  ), steps as (
    delete from "JobStep" step using bare where step."workId" = bare."id"
  ), children as (
    delete from "JobChild" child using bare where child."parentId" = bare."id"
  )
  select "name", "id"::text as "workId" from gone`

/**
 * CTEs that read `chosen`, and make `free`: the dead letters whose unique keys no other work holds, or that have just taken their keys.
 * These leave JobDeadLetter. `from`: the place of the first step that is done again, or null, as goOnSql reads it.
 */
const takeKeysSql = (from: string) => `
  -- What is left of their own: a round has not freed it yet.
  own as materialized (
    select one."workId" from chosen
      join "JobUnique" one on one."name" = chosen."name" and one."key" = chosen."uniqueKey" and one."workId" = chosen."id"
    for update of one skip locked
  ), keyed as (
    insert into "JobUnique" ("name", "key", "workId")
    select "name", "uniqueKey", "id" from chosen
    where "uniqueKey" is not null and "id" not in (select "workId" from own)
    -- In the order in which enqueueing takes them, so that two transactions do not deadlock; of two letters the older.
    order by "name" collate "C", "uniqueKey" collate "C", "failedAt", "id"
    on conflict do nothing
    returning "workId"
  ), free as materialized (
    select * from chosen
    where "uniqueKey" is null or "id" in (select "workId" from own union all select "workId" from keyed)
  ), gone as (
    delete from "JobDeadLetter" letter where letter."id" = any(array(select "id" from free))
  )${goOnSql(from)}`

/** The first step that is done again. */
const FROM = seqOfSql('$5::text', '$6::text')
/** An approval ends with its work, so work that is done again starts without one, and at once. */
const FACTS = `coalesce("facts", '{}') - array['expiresAt', 'approvedRows', 'approvedUntil', 'cancelled', 'begunAt', 'failedStep']`

const STAYS_CANCELLED = `(
      not $7::boolean and "errorCode" = 'cancelled' and exists (select from "JobStep" step where step."workId" = "JobDeadLetter"."id")
    )`

/** The next run is a start. */
const RESUMPTIONS = `"resumptions" * 0`

/**
 * Gives the dead letters `$1` back to the queue, for the person `$2` and the reason `$3`, except locked ones. Work that has
 * lost its worker runs alone, and has all its attempts again. Work that has ended two workers stays, unless `$4`; cancelled
 * durable work stays, unless `$7`.
 * Durable work does its steps from `$5`, `$6` on again. They get new keys, since services would ignore the old ones as repeated.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
export const REDRIVE_DEAD_LETTERS_SQL = `
  with chosen as materialized (
    select * from "JobDeadLetter" where "id" = any($1::uuid[]) and ($4::boolean or "losses" < 2) and not ${STAYS_CANCELLED}
    for update skip locked
  ), ${takeKeysSql(FROM)}${reopenChildrenSql('$5::text', isFailedStepSql)}, redriven as (
    insert into "JobWork" ("id", "name", ${CARRIED_COLUMNS})
    select "id", "name", ${carriedValues({
      ...{ attempt: '"attempt" + 1', failures: '0', lossesAlone: '0' },
      resumptions: RESUMPTIONS,
      facts: `${FACTS} || jsonb_build_object('actor', $2::text, 'reason', $3::text) || case
        when $5::text is null then '{}' else jsonb_build_object('generation', coalesce(("facts" ->> 'generation')::int, 0) + 1) end`,
    })}
    from free order by "failedAt", "id"
    returning "name", "id"
  )
  select redriven."name", redriven."id"::text as "workId", held.count::int as "alreadyQueued",
         held."endedWorkers"::int as "endedWorkers", held."cancelled"::int as "cancelled", held."unawaited"::int as "unawaited"
  from (
    select (select count(*) from chosen) - (select count(*) from free) as count, (
      select count(*) from "JobDeadLetter" where "id" = any($1::uuid[]) and not $4::boolean and "losses" >= 2
    ) as "endedWorkers", (
      select count(*) from "JobDeadLetter" where "id" = any($1::uuid[]) and ($4::boolean or "losses" < 2) and ${STAYS_CANCELLED}
    ) as "cancelled", (select count(*) from mine) - (select count(*) from reopened) as "unawaited"
  ) held left join redriven on true`

/** A dead letter as a claim of the origin `deadLetter` lists it: the next attempt. */
export interface LetterTaken extends EnvelopeRow {
  id: string
  name: string
  rank: number
  attempt: number
  failures: number
  losses: number
  lossesAlone: number
  needs: number
  uniqueKey: string | null
  key: string | null
  enqueuedAt: Date
  payloadId: string | null
  /** Why its payload could not be read. Absent: it could. */
  payloadMissing?: string | undefined
}

/**
 * Removes the dead letter `$2` of job `$1`, and returns it for a claim. Any end of the attempt without success, also a cancellation,
 * makes it a dead letter again. No row: it is no dead letter, or other work holds its unique key. None of its steps is done again, except
 * the one that has failed.
 * Race: packages/engine/test/queue/lockedUniqueKeys.test.ts "are taken in the order in which a redrive takes them, whatever their characters"
 */
export const TAKE_DEAD_LETTER_SQL = `
  with chosen as materialized (
    select * from "JobDeadLetter" where "name" = $1 and "id" = $2::uuid for update
  ), ${takeKeysSql('null::int')}
  select "id"::text as "id", "name", ${carriedValues({
    attempt: '"attempt" + 1 as "attempt"',
    resumptions: `${RESUMPTIONS} as "resumptions"`,
    facts: `nullif(${FACTS} - 'trigger', '{}') as "facts"`,
  })}
  from free`

/** Finds the work that holds the unique key of the dead letter `$2` of job `$1`. */
export const FIND_HOLDER_SQL = `
  select one."workId"::text as "workId" from "JobDeadLetter" letter
    join "JobUnique" one on one."name" = letter."name" and one."key" = letter."uniqueKey"
  where letter."name" = $1 and letter."id" = $2::uuid`
