import { endChildrenSql } from './children.ts'
import { hasNotEnded } from './heldRuns.ts'
import { releaseKeysSql } from './uniqueKeys.ts'

/*
 * The payload of a run, and what an approval asks of a run that its guard blocked. What it was is in JobDeadLetter or, redriven,
 * in JobWork; of a run that a person wanted JobPayload keeps the payload for the day of its approval.
 */

/** Work by hand has no id but its run's. */
const WORK_ID = `coalesce(run."workId", run."id")`

const longPayload = (of: string) => `
  (select long."payload" from "JobPayload" long where long."id" = ${of}."payloadId")`
const payloadOf = (work: string) => `coalesce(${work}."payload", ${longPayload(work)})::text`
/** Earlier attempts had another payload, if newer work has replaced theirs. */
const hadSame = (work: string) =>
  `run."attempt" > coalesce((${work}."facts" ->> 'attemptsBefore')::int, 0)`

/**
 * Null once nothing has it. As text: a host's client that reads JSON may rename its keys. What runs and is replaced has none:
 * done again, it would undo what the newer work has done. Ticks have an empty one.
 */
const PAYLOAD_OF_RUN = `coalesce((
    select ${payloadOf('work')} from "JobWork" work where work."id" = ${WORK_ID} and ${hadSame('work')}
  ), (
    select ${payloadOf('letter')} from "JobDeadLetter" letter where letter."id" = ${WORK_ID} and ${hadSame('letter')}
  ), (
    select ${payloadOf('held')}
    from "JobClaim" claim cross join lateral unnest(claim."runIds", claim."workIds", claim."facts", claim."uniqueKeys", claim."payloads", claim."payloadIds")
      as held("runId", "workId", "facts", "uniqueKey", "payload", "payloadId")
    where claim."name" = run."name" and coalesce(held."workId", held."runId") = ${WORK_ID} and ${hadSame('held')}
      and ${hasNotEnded('held."runId"')}
      and (held."uniqueKey" is null or exists (
        select from "JobUnique" one
        where one."name" = claim."name" and one."key" = held."uniqueKey" and one."workId" = ${WORK_ID}
      ))
    limit 1
  ), case when run."endedAt" > now() - interval '1 day' then ${longPayload('run')}::text end, case when run."trigger" = 'schedule' then '{}' end)`

export const FIND_PAYLOAD_SQL = `
  select run."name", ${PAYLOAD_OF_RUN} as "payload" from "JobRunAll" run where run."id" = $1::uuid`

/** The same of work that waits or is a dead letter, which may have no run. */
export const FIND_PAYLOAD_OF_WORK_SQL = `
  select run."name", ${PAYLOAD_OF_RUN} as "payload" from (
    select "name", "id", "id" as "workId", 2147483647 as "attempt", 'queue' as "trigger", null::timestamptz as "endedAt", null::uuid as "payloadId"
    from "JobWork" where "id" = $1::uuid
    union all
    select "name", "id", "id", 2147483647, 'queue', null, null from "JobDeadLetter" where "id" = $1::uuid
  ) run`

/** A statement about another run locks nothing of it: its end may be under way. */
const IS_BLOCKED = `run."id" = $1::uuid and run."errorCode" = 'guard_blocked'`

/**
 * Locks the work of the blocked run `$1`, so that no redrive, claim or approval meets it meanwhile. Work under way stays unlocked.
 * Race: packages/engine/test/control/approvalLocks.test.ts "an approval that waits while a claim takes the work of its run knows that it runs"
 */
export const LOCK_WORK_OF_RUN_SQL = `
  with run as materialized (
    select run."name", run."workId" from "JobRun" run where ${IS_BLOCKED}
  ), work as materialized (
    select "rank", "uniqueKey", "key" from "JobWork" where "id" = (select "workId" from run) for update
  ), letter as materialized (
    select "rank", "uniqueKey", "key" from "JobDeadLetter" where "id" = (select "workId" from run) for update
  )
  select "rank", "uniqueKey", "key", true as "isWaiting" from work union all select "rank", "uniqueKey", "key", false from letter
  union all select coalesce(held."rank", 0), held."uniqueKey", held."key", false
  from run join "JobClaim" claim on claim."name" = run."name"
    cross join unnest(claim."runIds", claim."workIds", claim."ranks", claim."uniqueKeys", claim."keys")
      as held("runId", "workId", "rank", "uniqueKey", "key")
  where coalesce(held."workId", held."runId") = run."workId" and ${hasNotEnded('held."runId"')}`

/**
 * Reads a blocked run, which may be approved, and locks it. Of two approvals at once, the second finds the run approved: a statement
 * that waits for a lock sees the newest version of that row, and older versions of all other rows. The lock of the work keeps
 * approvals of its other runs apart.
 * Race: packages/engine/test/control/approvals.test.ts "is taken by one of two people who approve at once, and by none who redrives it with them"
 */
export const LOCK_BLOCKED_RUN_SQL = `
  select run."name",
         run."approvedAt" is not null or exists (
           select from "JobRun" approved
           where approved."workId" = run."workId" and approved."name" = run."name" and approved."approvedAt" is not null
         ) as "isApproved",
         run."endedAt" < now() - interval '1 day' as "isTooOld", run."label", run."shown"::text as "shown", run."key",
         case when jsonb_typeof(run."details" #> '{guard,due}') = 'number'
           then case when (run."details" #> '{guard,due}')::numeric between 0 and 9007199254740991
             then (run."details" #> '{guard,due}')::float8 end end as "due",
         to_char((now() + interval '1 day') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "until", ${PAYLOAD_OF_RUN} as "payload"
  from "JobRun" run where ${IS_BLOCKED} for update of run`

export const KNOWS_RUN_SQL = `select from "JobRunAll" where "id" = $1::uuid`

/**
 * Marks the run `$1` as approved by `$2`, and removes its work, unless it runs: the approved work takes its place, and is not to
 * be done beside it.
 * Race: packages/engine/test/control/approvals.test.ts "is taken by one of two people who approve at once, and by none who redrives it with them"
 */
export const APPROVE_RUN_SQL = `
  with run as (
    update "JobRun" run set "approvedAt" = now(), "approvedBy" = $2 where "id" = $1::uuid
    returning ${WORK_ID} as "workId", "payloadId"
  ), work as (
    delete from "JobWork" work using run where work."id" = run."workId"
    returning work."name", work."id", work."uniqueKey", work."payloadId"
  ), letter as (
    delete from "JobDeadLetter" letter using run where letter."id" = run."workId" returning letter."payloadId"
  ), children as (${endChildrenSql('work', 'id', `'replaced'`)}
  ), key as (${releaseKeysSql('work', 'id')}
  ), payload as (
    delete from "JobPayload" where "id" in (
      select "payloadId" from run union all select "payloadId" from work union all select "payloadId" from letter
    )
  )
  select "workId"::text from run`
