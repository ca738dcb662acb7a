import type { Queryable } from './openPool.ts'

/** Rows that must not exist at any instant, after any kill. */
export interface Strays {
  /** Pieces of work that are in two places. */
  doubled: number
  /** Unique keys whose work is in none, and payloads that neither work nor a blocked run names. */
  keys: number
  payloads: number
}

/** Where work is that has not ended: it waits, runs or was given up. */
export const WORK_LEFT = `(
    select "id", 'waiting' as "state" from "JobWork"
    union all select "workId", 'running' from "JobRunAll" where "status" = 'running' and "workId" is not null
    union all select "id", 'given up' from "JobDeadLetter"
  )`

export const DOUBLED = `(
    select count(*)::int from (select from ${WORK_LEFT} place group by "id" having count(*) > 1) place
  )`

const STRAYS_SQL = `
  select ${DOUBLED} as "doubled",
         (select count(*)::int from "JobUnique" where "workId" not in (select "id" from ${WORK_LEFT} place)) as "keys",
         (select count(*)::int from "JobPayload" where "id" not in (
            select "payloadId" from (
              select "payloadId" from "JobWork" union all select "payloadId" from "JobDeadLetter"
              union all select unnest("payloadIds") from "JobClaim" union all select "payloadId" from "JobRun" where "approvedAt" is null
            ) named where "payloadId" is not null
         )) as "payloads"`

export async function countStrays(database: Queryable): Promise<Strays> {
  const { rows } = await database.query<{ [Key in keyof Strays]: number }>(STRAYS_SQL)
  return rows[0] ?? { doubled: NaN, keys: NaN, payloads: NaN }
}
