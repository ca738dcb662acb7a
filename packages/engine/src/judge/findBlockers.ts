import { boundedText } from '../read/bounded.ts'
import { HELD_UNDER_LIMITS } from '../read/listLimits.ts'
import type { JobsReader } from '../read/reader.ts'
import { IN_TIME, LATER, READY, SUSPECT } from '../queue/waitingSql.ts'

/** A key with due work, none of which starts. Instants are ISO 8601 in UTC. */
export interface BlockedKey {
  name: string
  key: string
  /** A person has paused it, a service has refused more, or its first piece is a dead letter (`fifo`). */
  why: 'paused' | 'parked' | 'deadLetter'
  since: string
  /** Null if only a person can end it. */
  until: string | null
  by: string | null
  reason: string | null
  /** The dead letter, with its code. */
  workId: string | null
  code: string | null
  /** Its due work, and since when the oldest piece has been due. `isCut`: there is more. */
  waiting: number
  isCut: boolean
  oldestAt: string
}

/** Maximum of keys to read, and of dead letters to search in each job. */
const MAX_KEYS = 10_000
const MAX_LETTERS = 1_000
/** Maximum of work to count over all keys. Each key gets an equal part. */
const MAX_COUNTED = 100_000
/** Maximum of a job's work without a place, or with losses, that is searched for keys. */
const MAX_LOOKED = 10_000

const BLOCKED_KEYS_SQL = `
  with letter as materialized (
    select job."name", first.*
    from (select substr(rule."name", 5) as "name" from "JobLimit" rule where rule."name" like 'job:%' and rule."order" = 'fifo') job
    cross join lateral (
      select letter."id", letter."key", letter."errorCode", letter."failedAt" from "JobDeadLetter" letter
      where letter."name" = job."name" and letter."key" > '' order by letter."key", letter."id" limit ${MAX_LETTERS}
    ) first
  ), blocked as materialized (
    (
      select own."name", own."key", case when own."pausedUntil" > now() then 'paused' else 'parked' end as "why",
             case when own."pausedUntil" > now() then coalesce(own."pausedAt", own."setAt") else own."parkedAt" end as "since",
             case when own."pausedUntil" > now() then nullif(own."pausedUntil", 'infinity') else own."parkedUntil" end as "until",
             own."pausedBy" as "by", case when own."pausedUntil" > now() then own."pauseReason" else own."parkReason" end as "reason",
             null::uuid as "workId", null as "code"
      from "JobKey" own
      where (own."pausedUntil" is not null or own."parkedUntil" is not null) and greatest(own."pausedUntil", own."parkedUntil") > now()
      limit ${MAX_KEYS}
    ) union all (
      select distinct on ("name", "key") "name", "key", 'deadLetter', "failedAt", null, null, null, "id", "errorCode"
      from letter order by "name", "key", "id"
    )
  ), budget as materialized (
    select ${MAX_COUNTED} / greatest(count(*), 1) as most from blocked
  ), apart as materialized (
    select blocked."name", blocked."key", blocked."why", count(*)::int as count, min(work."dueAt") as "oldestAt"
    from (select distinct "name" from blocked) job cross join lateral (
      (select "key", "id", "dueAt" from "JobWork" work where work."name" = job."name" and ${SUSPECT} order by work."place" limit ${MAX_LOOKED})
      union all
      (select "key", "id", "dueAt" from "JobWork" work where work."name" = job."name" and ${LATER} and work."dueAt" <= now() order by ${IN_TIME} limit ${MAX_LOOKED})
    ) work join blocked on blocked."name" = job."name" and blocked."key" = work."key" and (blocked."workId" is null or work."id" > blocked."workId")
    group by 1, 2, 3
  )
  select blocked."name", ${boundedText('blocked."key"')} as "key", blocked."why", coalesce(blocked."since", work."oldestAt", apart."oldestAt") as "since", blocked."until",
         ${boundedText('blocked."by"')} as "by", ${boundedText('blocked."reason"')} as "reason", blocked."workId", ${boundedText('blocked."code"')} as "code",
         least(work.count + coalesce(apart.count, 0), budget.most)::int as "waiting", work.count + coalesce(apart.count, 0) > budget.most as "isCut",
         least(work."oldestAt", apart."oldestAt") as "oldestAt"
  from blocked cross join budget cross join lateral (
    select count(*)::int as count, min("dueAt") as "oldestAt" from (
      select work."dueAt" from "JobWork" work
      where work."name" = blocked."name" and work."key" = blocked."key" and work."key" is not null and ${READY}
        and (blocked."workId" is null or work."id" > blocked."workId")
      limit (select most + 1 from budget)
    ) one
  ) work left join apart using ("name", "key", "why")
  where work.count + coalesce(apart.count, 0) > 0 order by "waiting" desc, blocked."name", blocked."key"`

/** Lists such keys, those with the most waiting work first. */
export const listBlockedKeys = async (reader: JobsReader): Promise<BlockedKey[]> =>
  await reader.rows<BlockedKey>({ text: BLOCKED_KEYS_SQL })

/** A limit under which nothing starts at this moment. */
export interface StoppedLimit {
  /** For a job's own limit, `job:` and the name of the job. */
  name: string
  jobs: string[]
  /** The end of a service's refusal. Null if the limit is full. */
  parkedUntil: string | null
  parkedAt: string | null
  reason: string | null
  most: number | null
  /** The person who has overridden the number, when, and why. */
  setBy: string | null
  setAt: string | null
  setReason: string | null
  /** The job with the most of its runs, and their number. */
  holder: string | null
  held: number
}

/** A job's own full limit is normal, unless a person has set it. */
const STOPPED_LIMITS_SQL = `
  with held as materialized (${HELD_UNDER_LIMITS})
  select one."name", coalesce(one."jobs", array[substr(one."name", 5)]) as "jobs", park."until" as "parkedUntil", park."at" as "parkedAt",
         ${boundedText('park."reason"')} as "reason", coalesce(one."setGlobal", one."global") as "most",
         case when one."setGlobal" is not null then ${boundedText('one."setBy"')} end as "setBy", one."setAt", ${boundedText('one."setReason"')} as "setReason",
         runs.holder, runs.held
  from "JobLimit" one
  left join lateral (
    select one."parkedUntil" as "until", one."parkedAt" as "at", one."parkReason" as "reason" where one."parkedUntil" > now()
  ) park on true
  cross join lateral (
    select coalesce(sum(count), 0) as count, (array_agg("name" order by count desc, "name"))[1] as holder, coalesce(max(count), 0)::int as held
    from (select held."name", count(*) as count from held where one."name" = any(held."limits") group by 1) by_job
  ) runs
  where park."until" is not null
    or (one."jobs" is not null or one."setGlobal" is not null) and runs.count >= coalesce(one."setGlobal", one."global")
  order by park."until" is null, one."name"`

export const listStoppedLimits = async (reader: JobsReader): Promise<StoppedLimit[]> =>
  await reader.rows<StoppedLimit>({ text: STOPPED_LIMITS_SQL })
