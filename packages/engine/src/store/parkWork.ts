import type { Refusal } from '../job/rateLimited.ts'
import type { Connection } from './database.ts'
import { HALF_OPEN_S } from './limitSql.ts'

/**
 * Has the work of a refused run's key, of its job, or under a shared limit wait. However many runs are refused at once, it is one row
 * with the latest instant. Claims look at it by the row of the limit.
 */
export async function parkWork(
  connection: Connection,
  run: { id: string; name: string; claimId: string },
  { retryAfterMs, limit, isOfKey }: Refusal,
  reason: string,
): Promise<void> {
  await connection.query(PARK_SQL, [
    run.name,
    run.claimId,
    run.id,
    limit,
    isOfKey,
    retryAfterMs,
    reason,
  ])
}

/** Without another refusal for so long: the next begins anew. */
const IS_OVER = `park."until" < now() - interval '${HALF_OPEN_S} seconds'`

/** Race: packages/engine/test/run/rateLimited.test.ts "fails without costing an attempt, and its key waits for as long as the service says" */
const PARK_SQL = `
  with parked as materialized (
    select coalesce($4::text, 'job:' || $1::text) as "name", case when $5::boolean and $4::text is null then coalesce((
        select claim."keys"[array_position(claim."runIds", $3::uuid)] from "JobClaim" claim where claim."id" = $2::uuid
      ), '') else '' end as "key"
  ), known as (
    insert into "JobLimit" ("name") select "name" from parked where $4::text is null on conflict do nothing
  ), gone as (
    delete from "JobPark" park where ("name", "key") in (
      select "name", "key" from "JobPark" where "until" < now() - interval '1 day' limit 100 for update skip locked
    ) and not exists (select from parked where parked."name" = park."name" and parked."key" = park."key")
  )
  insert into "JobPark" as park ("name", "key", "until", "since", "reason")
  select "name", "key", now() + $6::float8 * interval '1 millisecond', now(), $7::text from parked
  on conflict ("name", "key") do update set
    "until" = greatest(park."until", excluded."until"), "reason" = excluded."reason",
    "since" = case when ${IS_OVER} then now() else park."since" end,
    "count" = case when ${IS_OVER} then 1 else park."count" + 1 end`
