import type { Connection } from '../database/database.ts'

/** The most payloads that one call looks at. */
const PAYLOADS_PER_CALL = 1_000

/** The last payload that a call has looked at. */
export interface PayloadPosition {
  createdAt: string
  id: string
}

/**
 * Deletes payloads older than an hour that nothing refers to: no waiting work, no claim, no dead letter, and no blocked run of the last
 * day, which a person may approve. Two replacements of the same work at the same time leave such a payload. It looks at a thousand
 * payloads behind `after`.
 * @returns The position for the next call. Null: this call has found fewer than a thousand, so none are left
 */
export async function dropOrphanedPayloads(
  connection: Connection,
  after: PayloadPosition | null,
): Promise<PayloadPosition | null> {
  const { rows } = await connection.query<{ createdAt: string; id: string }>(DROP_SQL, [
    after?.createdAt ?? '-infinity',
    after?.id ?? '00000000-0000-0000-0000-000000000000',
  ])
  return rows[0] ?? null
}

/**
 * One statement decides: work moves between these tables in one transaction, so its snapshot has the payload's owner.
 * Race: packages/engine/test/work/longPayloads.test.ts "never runs an older payload than the newest that was committed before, nor leaves one to nobody"
 */
const DROP_SQL = `
  with seen as materialized (
    select "id", "workId", "createdAt" from "JobPayload"
    where ("createdAt", "id") > ($1::timestamptz, $2::uuid) and "createdAt" < now() - interval '1 hour'
    order by "createdAt", "id" limit ${PAYLOADS_PER_CALL}
  ), gone as (
    delete from "JobPayload" where "id" in (
      select seen."id" from seen
      where not exists (select from "JobWork" work where work."id" = seen."workId" and work."payloadId" = seen."id")
        and not exists (select from "JobDeadLetter" letter where letter."id" = seen."workId" and letter."payloadId" = seen."id")
        and not exists (
          select from "JobRun" run
          where run."workId" = seen."workId" and run."payloadId" = seen."id" and run."approvedAt" is null
            and run."endedAt" > now() - interval '1 day'
        )
        and seen."id" not in (
          select held."id" from "JobClaim" claim cross join unnest(claim."payloadIds") as held("id") where held."id" is not null
        )
    )
  )
  select "createdAt"::text as "createdAt", "id"::text as "id" from seen offset ${PAYLOADS_PER_CALL - 1}`
