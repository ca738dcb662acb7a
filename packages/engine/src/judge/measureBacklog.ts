import { countWork, oldestDue } from '../read/getQueueStats.ts'
import type { JobsReader } from '../read/reader.ts'
import { usualOf } from '../read/runsUnderWay.ts'
import { DUE_PARTS } from '../read/workOfJobs.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { IN_PLACE, LATER, READY, SUSPECT } from '../queue/waitingSql.ts'
import type { BlockedKey } from './findBlockers.ts'

/** Due work of a job that waits. */
export interface Backlog {
  name: string
  /** All of it. `isCut`: there is more; counting stops at 100,000 over all jobs. */
  due: number
  isCut: boolean
  /** Work without a blocked key. `isReadyCut`: there is more. */
  ready: number
  isReadyCut: boolean
  /** How long the oldest ready work has been due. 0 if none is ready. */
  oldestMs: number
  /** Starts of the job per second: the rate of the last five minutes, or the usual rate at which runs under way end. */
  perSecond: number
  /** Time until the ready work has started at this rate, or longer if `isReadyCut`. Null if none starts. */
  caughtUpInMs: number | null
  /** Runs under way, and the start of the first; ISO 8601 in UTC. */
  running: number
  oldestRunId: string | null
  oldestStartedAt: string | null
}

/** Maximum of pieces to count over all jobs. Each job gets an equal part. */
const MAX_COUNTED = 100_000
/** If keys are blocked: the maximum of work without a place, with losses, or without a key that is read. */
const MAX_LOOKED = 10_000
/** Maximum of starts to read, and their period. A shorter period gives no rate. */
const MAX_STARTS = 1_000
const RATE_SECONDS = 300
const MIN_SECONDS = 10
const LONG_MS = 60_000

const secondsSince = (instant: string) => `extract(epoch from now() - ${instant})::float8`

const IS_FREE = `work."key" is null or (job.name, work."key") not in (select name, key from blocked)`
/** The startable work among the first work of a part. */
const firstOf = (part: string, order: string, isFree = IS_FREE) => `(
  select work."dueAt" from (
    select "key", "dueAt" from "JobWork" work where work."name" = job.name and ${part} order by ${order} limit ${MAX_LOOKED}
  ) work where ${isFree}
)`
/** Ready work before, between and behind blocked keys. It never reads work of these keys, which may be much. */
const besides = (where: string, ofGap: string) => `
  select work."dueAt" from gap cross join lateral (
    select "dueAt" from "JobWork" work where work."name" = job.name and work."key" is not null and ${READY} and ${where}
  ) work where gap.name = job.name and ${ofGap}`

/** A row for each name of `$1` with due work. The keys `$3` of the jobs `$2` are blocked. */
export const BACKLOG_SQL = `
  with blocked as materialized (
    select distinct name, key from unnest($2::text[], $3::text[]) blocked(name, key)
  ), gap as materialized (
    select name, key, lead(key) over of_name as next, row_number() over of_name as nth from blocked window of_name as (partition by name order by key)
  ), job as materialized (
    select job.name, oldest.at as "oldestAt" from unnest($1::text[]) job(name) cross join lateral (select ${oldestDue('job.name')} as at) oldest
    where oldest.at is not null
  ), budget as materialized (
    select ${MAX_COUNTED} / greatest(count(*), 1) as most from job
  ), startable as materialized (
    select job.name, count(*)::int as count, min(work."dueAt") as "oldestAt" from job cross join lateral (
      select * from (
        ${besides('work."key" < gap.key', 'gap.nth = 1')}
        union all ${besides('work."key" > gap.key and work."key" < gap.next', 'gap.next is not null')}
        union all ${besides('work."key" > gap.key', 'gap.next is null')}
        union all ${firstOf(READY, IN_PLACE, 'work."key" is null')}
        union all ${firstOf(SUSPECT, 'work."place"')}
        union all ${firstOf(`${LATER} and work."dueAt" <= now()`, 'work."dueAt"')}
      ) any_part limit (select most + 1 from budget)
    ) work where job.name in (select name from blocked) group by 1
  )
  select job.name, least(waiting.count, budget.most)::int as "due", waiting.count > budget.most as "isCut",
         least(ready.count, budget.most)::int as "ready", ready.count > budget.most as "isReadyCut",
         greatest(0, coalesce(${secondsSince('ready."oldestAt"')} * 1000, 0)) as "oldestMs",
         -- A single start gives no rate. Long runs start rarely in five minutes: as many start as end.
         greatest(case when started.count < 2 or usual."meanMs" >= ${LONG_MS} then started.count / ${RATE_SECONDS} else started.count / greatest(${MIN_SECONDS}, started."seconds") end,
           ends.rate, allowed.rate, 0) as "perSecond",
         under.count as "running", under."runId" as "oldestRunId", under."startedAt" as "oldestStartedAt"
  from job cross join budget
  cross join lateral ${countWork('job.name', DUE_PARTS, '(select most + 1 from budget)')} waiting
  left join startable on startable.name = job.name
  cross join lateral (
    select case when is_blocked then coalesce(startable.count, 0) else waiting.count end as count,
           case when is_blocked then startable."oldestAt" else job."oldestAt" end as "oldestAt"
    from (select exists (select from blocked where blocked.name = job.name) as is_blocked) one
  ) ready
  cross join lateral (
    select count(*)::float8 as count, ${secondsSince('min("startedAt")')} as "seconds" from (
      select "startedAt" from "JobRunAll"
      where ${equalsInOrder('"name"', 'job.name')} and "startedAt" > now() - interval '${RATE_SECONDS} seconds' and "errorCode" is distinct from 'expired'
      order by "name", "startedAt" desc, "id" desc limit ${MAX_STARTS}
    ) run
  ) started
  cross join lateral ${usualOf('job.name')} usual
  cross join lateral (
    select count(*)::int as count, min(run."startedAt") as "startedAt", (array_agg(run."id" order by run."startedAt", run."id"))[1] as "runId",
           count(*) filter (where run."startedAt" > now() - 2 * usual."ms" * interval '1 millisecond') as young
    from ${RUNS_UNDER_WAY} where run."name" = job.name
  ) under
  cross join lateral (select under.young * 1000 / nullif(usual."meanMs", 0) as rate) ends
  left join lateral (
    -- A rate limit that delays the job lets work start at its own rate.
    select rule."rateLimit" * 1000.0 / rule."ratePerMs" as rate from "JobLimit" rule join "JobThrottle" throttle on throttle."name" = job.name
    where rule."name" = 'job:' || job.name and throttle."freeAt" > now() and rule."rateBy" is distinct from 'key'
  ) allowed on true
  order by "oldestMs" desc, job.name`

/** Measures the jobs with due work, the longest wait first. */
export async function measureBacklog(
  reader: JobsReader,
  names: readonly string[],
  blocked: readonly BlockedKey[],
): Promise<Backlog[]> {
  const rows = await reader.rows<Omit<Backlog, 'caughtUpInMs'>>({
    text: BACKLOG_SQL,
    values: [names, blocked.map(({ name }) => name), blocked.map(({ key }) => key)],
  })
  return rows.map((row) => {
    const { ready, perSecond } = row
    const caughtUpInMs = perSecond > 0 ? Math.round((ready / perSecond) * 1_000) : null
    return { ...row, oldestMs: Math.round(row.oldestMs), caughtUpInMs }
  })
}
