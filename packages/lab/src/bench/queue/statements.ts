import { placeSql } from './floor.ts'

/*
 * The statements of a worker that takes work from the sketched tables and records its ends, with all conditions that the
 * real ones have to ask.
 */

/** As the engine asks it: who gets the worker's lock shared knows that nobody holds it. */
const ALIVE = `
    select case when worker."liveness" = 'heartbeat'
        then worker."heartbeatAt" >= statement_timestamp() - interval '30 seconds'
        else not pg_try_advisory_xact_lock_shared(hashtextextended(me.id, 0)) end as "isAlive"
    from (select $1::text as id) me left join public."JobWorker" worker on worker."id" = me.id`

/**
 * Takes work. `$1` worker, `$2` names, `$3` limits, `$4` exclusive keys, `$5` claim ids, `$6` seconds until they expire,
 * `$7` start; ranges of ranks to take from, in order, `$8` the request of each, `$9` and `$10` the rank and place behind which
 * it begins, `$11` the rank with which it ends; `$12` what this worker understands, `$13` bytes at most.
 */
export const CLAIM_SQL = `
  with alive as materialized (${ALIVE}
  ), wanted as materialized (
    select wanted.* from alive cross join unnest($2::text[], $3::int[], $4::text[], $5::uuid[], $6::int[]) with ordinality
      as wanted("name", "limit", "exclusiveKey", "claimId", "expireSeconds", "request")
    where alive."isAlive" and not coalesce((select true from public."JobQueue" paused where paused."name" = wanted."name"), false)
  ), found as materialized (
    select wanted."claimId", work.* from wanted cross join lateral (
      select work.* from unnest($8::int[], $9::int[], $10::bigint[], $11::int[]) as range("request", "rank", "place", "end")
      cross join lateral (
        select work.* from "JobWork" work
        where work."name" = wanted."name" and work."place" is not null
          and (work."rank", work."place") > (range."rank", range."place") and work."rank" <= range."end"
          and work."needs" <= $12 and work."losses" < 2
          and (wanted."exclusiveKey" is null or not exists (
            select from "JobClaim" other where other."exclusiveKey" = wanted."exclusiveKey"))
        order by work."rank", work."place"
        -- Here as well, so that PostgreSQL walks the index. The outer one ends the walk through later ranges.
        limit wanted."limit"
        for update skip locked
      ) work
      where range."request" = wanted."request"
      limit wanted."limit"
    ) work
  ), taken as materialized (
    select * from (
      select found.*, sum("bytes") over (partition by "name" order by "rank", "place") - "bytes" as "bytesBefore" from found
    ) found where "bytesBefore" < $13
  ), gone as (
    delete from "JobWork" work where work."id" = any(array(select "id" from taken))
  ), claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "bytes", "runIds", "workIds",
      "attempts", "failures", "losses", "lossesAlone", "keys", "labels", "enqueuedAt", "ranks", "facts", "payloads")
    select wanted."claimId", wanted."name", $1, wanted."exclusiveKey", $7, now() + wanted."expireSeconds" * interval '1 second',
      sum("bytes"), array_agg(taken."id"), null,
      case when bool_or("attempt" > 1) then array_agg("attempt") end,
      case when bool_or("failures" > 0) then array_agg("failures") end,
      case when bool_or("losses" > 0) then array_agg("losses") end,
      case when bool_or("lossesAlone" > 0) then array_agg("lossesAlone") end,
      case when count("key") > 0 then array_agg("key") end,
      case when count("label") > 0 then array_agg("label") end,
      array_agg("enqueuedAt"),
      case when bool_or("rank" <> 0) then array_agg("rank") end,
      case when count("facts") > 0 then array_agg("facts") end,
      array_agg("payload")
    from taken join wanted on wanted."claimId" = taken."claimId"
    group by wanted."claimId", wanted."name", wanted."exclusiveKey", wanted."expireSeconds"
    order by wanted."exclusiveKey"
  )
  select "id"::text, "name", "attempt", "failures", "losses", "rank", "place"::text, "facts", "payload",
    pg_current_xact_id()::text as "transaction"
  from taken`

/**
 * Records ends, and lets claims go. An end is written only while its claim holds the run. `$1` worker, `$2` run ids, `$3`
 * claims, `$4` the place of each run's claim in `$3`, `$5` ends in milliseconds, `$6` details, `$7` claims to let go.
 */
export const END_SQL = `
  with held as materialized (
    select "id", "name", "startedAt" from "JobClaim"
    where "id" = any($3::uuid[]) and "workerId" = $1
    order by "id" for key share
  ), ended as (
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workId", "workerId")
    select "end".id, held."name", 'success', 'queue', 1, held."startedAt", to_timestamp("end"."atMs" / 1000),
           "end".details::jsonb, "end".id, $1
    from unnest($2::uuid[], $4::int[], $5::float8[], $6::text[]) as "end"(id, claim, "atMs", details)
      join held on held."id" = ($3::uuid[])["end".claim]
    returning "id"
  ), let_go as (
    delete from "JobClaim" where "id" = any($7::uuid[])
  )
  select count(*)::int as "count" from ended`

/** Where a worker may begin to look, for each range: see floor.ts. */
export const LOOK_SQL = `
  select pg_snapshot_xmin(pg_current_snapshot())::text as "xmin", (
    select work."place"::text from "JobWork" work
    where work."name" = $1 and work."place" is not null and work."rank" = $2 and work."place" > $3
    order by work."rank", work."place" limit 1) as "first"`

/** Gives places to what has become due, a bounded number at a time. */
export const PLACE_DUE_SQL = `
  with due as materialized (
    select "id" from "JobWork" where "place" is null and "dueAt" <= now()
    order by "dueAt" limit 10000 for update skip locked
  )
  update "JobWork" work set "place" = ${placeSql('own."JobPlace"')}
  from due where work."id" = due."id"`
