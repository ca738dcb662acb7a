import { boundedText, jsonNumber } from './bounded.ts'
import { NEUTRAL_CODES } from './failureRates.ts'
import type { Reader } from './reader.ts'

export interface FailedRun {
  id: string
  name: string
  /** ISO 8601 in UTC. */
  endedAt: string
  code: string
  message: string
  /** What its guard has counted. */
  due: number | null
  isApproved: boolean
  /** Nothing of the job has ended since, but what somebody cancelled, or what was not the job's to end. */
  isLatest: boolean
}

/** Of each job at most; those that can be approved. */
const MAX_BLOCKED = 5
/** So many that were cancelled one after the other are looked past. */
const MAX_NEUTRAL = 20

/**
 * Of each job the last run that ended and was not cancelled, if it failed; and those that its guard has blocked since an instant and nobody
 * has approved. `between` for the reason that recentRunsQuery gives.
 */
export async function listFailures(
  reader: Reader,
  names: readonly string[],
  blockedSince: Date,
): Promise<FailedRun[]> {
  return await reader.rows<FailedRun>({
    text: `select run."id", run."name", run."endedAt", run."approvedAt" is not null as "isApproved",
            ${boundedText('run."errorCode"')} as "code",
            ${boundedText(`coalesce(run."details" #>> '{error,message}', '')`)} as "message",
            ${jsonNumber(`run."details" #> '{guard,due}'`)} as "due",
            coalesce(run."id" = latest."id", false) as "isLatest"
     from unnest($1::text[]) as job(name)
     left join lateral (
       select "id" from (
         select "id", "startedAt", "errorCode" from "JobRun"
         where "name" between job.name and job.name and "status" <> 'running' and not "dryRun"
         order by "name", "startedAt" desc, "id" desc limit ${MAX_NEUTRAL}
       ) ended
       where "errorCode" is null or "errorCode" = 'guard_blocked' or "errorCode" <> all($3::text[])
       order by "startedAt" desc, "id" desc limit 1
     ) latest on true
     cross join lateral (
       (select * from "JobRun" where "id" = latest."id" and "status" = 'failed')
       union
       (select * from "JobRun"
        where "name" = job.name and "errorCode" = 'guard_blocked' and not "dryRun" and "startedAt" > $2::timestamptz
          and "approvedAt" is null
        order by "startedAt" desc limit ${MAX_BLOCKED})
     ) run
     order by run."endedAt" desc`,
    values: [names, blockedSince.toISOString(), NEUTRAL_CODES],
  })
}
