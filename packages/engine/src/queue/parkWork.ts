import type { Refusal } from '../job/rateLimited.ts'
import type { Connection } from '../database/database.ts'

/**
 * Lets work wait after a refusal: the work of the run's key, of its job, or under a shared limit. One row has the latest instant,
 * however many runs are refused at once. Claims read it under the lock of the limit.
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

const PARK = `
  do update set "parkedUntil" = greatest(one."parkedUntil", excluded."parkedUntil"), "parkReason" = excluded."parkReason",
    "parkedAt" = case when one."parkedUntil" > now() then one."parkedAt" else now() end`

/**
 * The key is that of the run; where its job has no keys, the job waits.
 * Race: packages/engine/test/run/rateLimited.test.ts "fails without costing an attempt, and its key waits for as long as the service says"
 */
const PARK_SQL = `
  with refused as materialized (
    select now() + $6::float8 * interval '1 millisecond' as "until", (
      select claim."keys"[array_position(claim."runIds", $3::uuid)] from "JobClaim" claim
      where claim."id" = $2::uuid and $5::boolean and $4::text is null
        and exists (select from "JobLimit" own where own."name" = 'job:' || $1::text and own."order" is not null)
    ) as "key"
  ), of_limit as (
    insert into "JobLimit" as one ("name", "parkedUntil", "parkedAt", "parkReason")
    select coalesce($4::text, 'job:' || $1::text), "until", now(), $7::text from refused where "key" is null
    on conflict ("name") ${PARK}
  )
  insert into "JobKey" as one ("name", "key", "parkedUntil", "parkedAt", "parkReason")
  select $1::text, "key", "until", now(), $7::text from refused where "key" is not null
  on conflict ("name", "key") ${PARK}`
