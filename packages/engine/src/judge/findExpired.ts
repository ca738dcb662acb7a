import { NEVER_IN_TIME } from '../job/runOutcome.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import type { JobsReader } from '../read/reader.ts'
import { isTooMuch } from './findFailing.ts'
import type { Found } from './problem.ts'
import { many } from './words.ts'

/** Work of a job that expired within the last hour before it started. */
interface Expired {
  name: string
  count: number
  recent: number
  isCut: boolean
  /** The last of them, and when the first expired; ISO 8601 in UTC. */
  runId: string
  since: string
  /** All runs of the job within the hour, including these. */
  runs: number
}

const MAX_LOOKED = 5_000

const EXPIRED_SQL = `
  with latest as materialized (
    select "name", "id", "startedAt", "details" #>> '{error,message}' as "message" from "JobRun"
    where ${equalsInOrder('"errorCode"', `'expired'`)} and "startedAt" >= $2::timestamptz - interval '1 hour'
    order by "errorCode", "startedAt" desc, "id" desc limit ${MAX_LOOKED + 1}
  ), expired as materialized (
    select "name", count(*)::int as "count", (count(*) filter (where "startedAt" >= $2::timestamptz - interval '15 minutes'))::int as "recent",
           (array_agg("id" order by "startedAt" desc, "id" desc))[1] as "runId", min("startedAt") as "since"
    from latest where "name" = any($1::text[]) and "message" like '%${NEVER_IN_TIME}%' group by 1
  )
  select expired.*, runs.count as "runs", (select count(*) from latest) > ${MAX_LOOKED} as "isCut" from expired cross join lateral (
    select count(*)::int as count from (
      select from "JobRun" where ${equalsInOrder('"name"', 'expired."name"')} and "startedAt" >= $2::timestamptz - interval '1 hour' limit ${MAX_LOOKED}
    ) run
  ) runs
  order by expired."count" desc, expired."name"`

/** Finds the jobs with too much work that expires before it starts. */
export async function findExpired(
  reader: JobsReader,
  names: readonly string[],
  { failureRate, now }: { failureRate: number | undefined; now: Date },
): Promise<Found[]> {
  const rows = await reader.rows<Expired>({ text: EXPIRED_SQL, values: [names, now.toISOString()] })
  return rows
    .filter(({ count, runs }) =>
      isTooMuch(count, runs, failureRate === undefined ? {} : { failureRate }),
    )
    .map(({ name, count, isCut, recent, runId, since, runs }): Found => ({
      kind: 'failing',
      stage: recent > 0 ? 'losing' : 'over',
      jobs: [name],
      text: `${many(count, 'piece', isCut)} of work of ${name} expired before they started, in the last hour.`,
      note: 'Workers drop expired work. Find out why it waits, start more workers, or let it expire later.',
      since,
      runId,
      code: 'expired',
      count,
      isCut,
      reach: 1,
      share: recent / Math.max(1, runs),
    }))
}
