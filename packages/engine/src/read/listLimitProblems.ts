import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A limit above which runs go on though each claim has counted: where it is of keys, the key with most runs above. */
export interface ExceededLimit {
  /** The job whose own limit it is; empty: jobs share it. */
  name: string
  /** The name of the shared limit; null: it is a job's own. */
  limit: string | null
  /** Null: it is exceeded in all. */
  key: string | null
  running: number
  most: number
}

const MAX_LISTED = 20

/** Lists the limits that are exceeded, which must never be. */
export async function listExceededLimits(reader: JobsReader): Promise<ExceededLimit[]> {
  return await reader.rows<ExceededLimit>({
    text: `
      select case when "isOwn" then substr("rule", 5) else '' end as "name", case when not "isOwn" then "rule" end as "limit",
             ${boundedText('"key"')} as "key", "running", "most"
      from (
        select distinct on ("name") "name" as "rule", "name" like 'job:%' as "isOwn", "key", "running", "most"
        from "JobLimitViolation" order by "name", "key" is not null, "running" - "most" desc, "key"
      ) worst
      order by "running" - "most" desc, "rule" limit ${MAX_LISTED}`,
  })
}

/** A key of a job with the order `fifo` of which work waits behind a dead letter: that with most work of its job. */
export interface BlockedKey {
  name: string
  key: string
  /** The dead letter, its error code, and since when, as ISO 8601 in UTC. */
  workId: string
  code: string
  since: string
  /** How many pieces of the key wait behind it. `isCut`: there are more, of this key or of others. */
  waiting: number
  isCut: boolean
  /** How many keys of the job wait so. */
  count: number
}

/** Of each job. */
const MAX_LETTERS = 1_000
const MAX_WAITING = 10_000

/** Lists the jobs that have such keys, that with most waiting work first. */
export async function listBlockedKeys(reader: JobsReader): Promise<BlockedKey[]> {
  return await reader.rows<BlockedKey>({
    text: `
      with letter as materialized (
        select job."name", first.*, count(*) over (partition by job."name") = ${MAX_LETTERS} as "isCut"
        from (select substr(rule."name", 5) as "name" from "JobLimit" rule where rule."name" like 'job:%' and rule."order" = 'fifo') job
        cross join lateral (
          select letter."id", letter."key", letter."errorCode", letter."failedAt" from "JobDeadLetter" letter
          where letter."name" = job."name" and letter."key" > '' order by letter."key", letter."id" limit ${MAX_LETTERS}
        ) first
      ), head as materialized (
        select distinct on ("name", "key") * from letter order by "name", "key", "id"
      ), blocked as materialized (
        select head.*, behind."count" as "waiting" from head cross join lateral (
          select count(*)::int as "count" from (
            select from "JobWork" work where work."name" = head."name" and work."key" = head."key" and work."id" > head."id" limit ${MAX_WAITING}
          ) work
        ) behind where behind."count" > 0
      )
      select * from (
        select distinct on ("name") "name", ${boundedText('"key"')} as "key", "id" as "workId", ${boundedText('"errorCode"')} as "code",
               "failedAt" as "since", "waiting", "isCut" or "waiting" = ${MAX_WAITING} as "isCut",
               (count(*) over (partition by "name"))::int as "count"
        from blocked order by "name", "waiting" desc, blocked."key"
      ) worst order by "waiting" desc, "name" limit ${MAX_LISTED}`,
  })
}
