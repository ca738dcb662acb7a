import { checkDate, checkTexts } from '../arguments/argument.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText, jsonNumber, thrownOf } from './bounded.ts'
import { ENDED_AT, NEUTRAL_CODES, STARTED_AT } from './countRuns.ts'
import type { JobsReader } from './reader.ts'

export interface FailedRun {
  id: string
  name: string
  /** ISO 8601 in UTC. */
  endedAt: string
  code: string
  /** As RecentFailures have it. */
  thrown: string
  /** How many rows its guard counted. */
  due: number | null
  isApproved: boolean
  /** No run of the job has ended since, except cancelled, drained or expired ones. */
  isLatest: boolean
  /** How many of the job's last runs failed in a row, by themselves; those beyond its last twenty are not counted. */
  inARow: number
}

/** Blocked runs of each job that a call returns at most. */
const MAX_BLOCKED = 5
/** It looks for the latest end among so many of a job's last runs. */
const MAX_NEUTRAL = 20

const latest = (when: string) => `(
  select "id", ${STARTED_AT} as "at", "errorCode" from "JobRun"
  where ${equalsInOrder('"name"', 'job.name')} and "status" <> 'running' and not "dryRun" and ${when}
  order by "name", "startedAt" desc, "id" desc limit ${MAX_NEUTRAL})`

/**
 * Lists for each job its last ended run that was not cancelled, drained or expired, if it failed, and the runs that its
 * guard has blocked since an instant and nobody has approved.
 */
export async function listFailures(
  reader: JobsReader,
  names: readonly string[],
  blockedSince: Date,
): Promise<FailedRun[]> {
  return await reader.rows<FailedRun>({
    text: `select run."id", run."name", ${ENDED_AT} as "endedAt", run."approvedAt" is not null as "isApproved",
            ${boundedText('run."errorCode"')} as "code",
            ${thrownOf('run."details"')} as "thrown",
            ${jsonNumber(`run."details" #> '{guard,due}'`)} as "due",
            coalesce(run."id" = latest."id", false) as "isLatest", latest."inARow"
     from unnest($1::text[]) as job(name)
     -- As a row: of an instant that it knows, PostgreSQL would read what runs of all jobs came later.
     cross join unnest(array[now()]) as clock(now)
     left join lateral (
       select (array_agg("id" order by nth))[1] as "id",
              (coalesce(min(nth) filter (where "errorCode" is null or "errorCode" = 'guard_blocked'), count(*) + 1) - 1)::int as "inARow"
       from (
         select "id", "errorCode", row_number() over (order by "at" desc, "id" desc) as nth from (
           ${latest('"startedAt" <= clock.now')} union all
           -- A worker whose clock is ahead must not hide what came after.
           ${latest('"startedAt" > clock.now')}
           order by "at" desc, "id" desc limit ${MAX_NEUTRAL}
         ) ended
         where "errorCode" is null or "errorCode" = 'guard_blocked' or "errorCode" <> all($3::text[])
       ) told
     ) latest on true
     cross join lateral (
       (select * from "JobRun" where "id" = latest."id" and "status" = 'failed')
       union
       (select * from "JobRun"
        where "name" = job.name and "errorCode" = 'guard_blocked' and not "dryRun" and "startedAt" > $2::timestamptz
          and "approvedAt" is null
        order by "startedAt" desc limit ${MAX_BLOCKED})
     ) run
     order by "endedAt" desc`,
    values: [
      checkTexts('names', names),
      checkDate('blockedSince', blockedSince).toISOString(),
      NEUTRAL_CODES,
    ],
  })
}
