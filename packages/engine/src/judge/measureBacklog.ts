import { countWork, oldestDue } from '../read/getQueueStats.ts'
import type { JobsReader } from '../read/reader.ts'
import { usualOf } from '../read/runsUnderWay.ts'
import { DUE_PARTS } from '../read/workOfJobs.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { IN_PLACE, LATER, READY, SUSPECT } from '../queue/waitingSql.ts'
import type { BlockedKey } from './findBlockers.ts'

/** Work of a job that is due and waits. */
export interface Backlog {
  name: string
  /** All of it, and what is not of a blocked key. `isCut`: there may be more; counting stops at 100,000 over all jobs. */
  due: number
  ready: number
  isCut: boolean
  /** How long the oldest that is ready has been due; 0 where nothing is ready. */
  oldestMs: number
  /** How many of the job's runs start per second now: of the last five minutes, or as many as those under way end as usual. */
  perSecond: number
  /** How long what is ready takes at this rate, or longer when `isCut`; null: none starts. */
  caughtUpInMs: number | null
  /** How many runs are under way, and the first that started; ISO 8601 in UTC. */
  running: number
  oldestRunId: string | null
  oldestStartedAt: string | null
}

/** Pieces to count over all jobs. Each job gets an equal part, and a full part also stands for more. */
const MAX_COUNTED = 100_000
/** Where keys are blocked: among so many pieces the oldest of other keys is looked for. */
const MAX_LOOKED = 10_000
/** Starts that are read, and of which time. Fewer seconds are no rate. */
const MAX_STARTS = 1_000
const RATE_SECONDS = 300
const MIN_SECONDS = 10
const LONG_MS = 60_000

const secondsSince = (instant: string) => `extract(epoch from now() - ${instant})::float8`

const unblockedDue = (part: string, order: string) => `(
  select work."dueAt", work."key" from "JobWork" work where work."name" = job.name and ${part} order by ${order} limit ${MAX_LOOKED}
)`

/** A row for each name of `$1` with due work. The keys `$3` of the jobs `$2` are blocked. */
export const BACKLOG_SQL = `
  with blocked as materialized (
    select * from unnest($2::text[], $3::text[]) blocked(name, key)
  ), job as materialized (
    select job.name, case when exists (select from blocked where blocked.name = job.name) then (
      select min(work."dueAt") from (
        ${unblockedDue(READY, IN_PLACE)} union all ${unblockedDue(SUSPECT, 'work."place"')}
        union all ${unblockedDue(`${LATER} and work."dueAt" <= now()`, 'work."dueAt"')}
      ) work where (job.name, work."key") not in (select name, key from blocked) or work."key" is null
    ) else oldest.at end as "oldestAt"
    from unnest($1::text[]) job(name) cross join lateral (select ${oldestDue('job.name')} as at) oldest where oldest.at is not null
  ), budget as materialized (
    select ${MAX_COUNTED} / greatest(count(*), 1) as most from job
  )
  select job.name, waiting.count as "due", waiting.count >= (select most from budget) as "isCut",
         greatest(0, coalesce(${secondsSince('job."oldestAt"')} * 1000, 0)) as "oldestMs",
         -- Of long runs few start in five minutes: as many start as end.
         greatest(case when usual."meanMs" >= ${LONG_MS} then started.count / ${RATE_SECONDS} else started.count / greatest(${MIN_SECONDS}, started."seconds") end,
           ends.rate, allowed.rate, 0) as "perSecond",
         under.count as "running", under."runId" as "oldestRunId", under."startedAt" as "oldestStartedAt"
  from job
  cross join lateral ${countWork('job.name', DUE_PARTS, '(select most from budget)')} waiting
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
    -- A rate limit that holds the job up lets work start at its own rate.
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
  const rows = await reader.rows<Omit<Backlog, 'ready' | 'caughtUpInMs'>>({
    text: BACKLOG_SQL,
    values: [names, blocked.map(({ name }) => name), blocked.map(({ key }) => key)],
  })
  return rows.map((row) => {
    const held = blocked.filter(({ name }) => name === row.name)
    const ready = Math.max(0, row.due - held.reduce((sum, { waiting }) => sum + waiting, 0))
    const { perSecond } = row
    const caughtUpInMs = perSecond > 0 ? Math.round((ready / perSecond) * 1_000) : null
    return { ...row, oldestMs: Math.round(row.oldestMs), ready, caughtUpInMs }
  })
}
