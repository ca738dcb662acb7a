import type { Job } from '../job/defineJob.ts'
import { pace } from '../job/limits.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { RUNS_UNDER_WAY } from '../store/heldRuns.ts'
import { READY } from '../store/waitingSql.ts'
import { NEVER_RAN } from './countRuns.ts'
import { countWork, oldestDue } from './getQueueStats.ts'
import { SLOW_FACTOR } from './judgeRun.ts'
import type { JobsReader } from './reader.ts'
import { usualOf } from './runsUnderWay.ts'
import { DUE_PARTS } from './workOfJobs.ts'

/** Work of a job that waits and could be taken now. */
export interface Backlog {
  name: string
  ready: number
  /** Whether there may be more: counting stops at 100,000 over all jobs. */
  isCut: boolean
  /** How long the oldest has been due. */
  oldestMs: number
  /**
   * How many runs of the job started per second while that waited, within the last hour at most, without what never ran. While it has waited no longer
   * than runs usually take: how many will, if those under way take as long as usual; while its rate limit holds it up, how many that lets start.
   */
  takenPerSecond: number
  /** How many pieces per second, of those that still wait, became due lately. */
  comingPerSecond: number
  /** Whether both rates are the same, as far as so few can tell: by the next look, either may be the greater. */
  isEven: boolean
  /**
   * How long it takes to catch up at these rates, or longer when `isCut`; null when it never catches up. Without what comes while
   * both are the same, or the oldest has waited no longer than runs usually take: so little time tells nothing of more.
   */
  caughtUpInMs: number | null
}

/** Measures the jobs with waiting work, the longest wait first. One bounded statement, however much waits. */
export async function measureBacklog(
  reader: JobsReader,
  names: readonly string[],
  jobs: readonly Pick<Job, 'name' | 'rateLimit'>[] = [],
): Promise<Backlog[]> {
  const rows = await reader.rows<
    Omit<Backlog, 'oldestMs' | 'caughtUpInMs'> & {
      oldestSeconds: number
      isUsual: boolean
      freeAheadMs: number | null
    }
  >({
    text: BACKLOG_SQL,
    values: [names],
  })
  const limitOf = new Map(jobs.map(({ name, rateLimit }) => [name, rateLimit]))
  return rows.map(({ oldestSeconds, isUsual, freeAheadMs, ...row }) => {
    const allowed = allowedPerSecond(limitOf.get(row.name) ?? null, freeAheadMs)
    const takenPerSecond = allowed ?? row.takenPerSecond
    const isEven = allowed === null && row.isEven
    const comingPerSecond = isUsual || allowed !== null || isEven ? 0 : row.comingPerSecond
    const perSecond = takenPerSecond - comingPerSecond
    return {
      ...row,
      takenPerSecond,
      isEven,
      oldestMs: Math.round(oldestSeconds * 1_000),
      caughtUpInMs: perSecond > 0 ? Math.round((row.ready / perSecond) * 1_000) : null,
    }
  })
}

/** A worker that waits for its limit takes work at the latest so long after that lets it. */
const TAKES_WITHIN_MS = 5_000

/** How many runs a second the rate limit lets start while it holds the job up, else null. */
function allowedPerSecond(limit: Job['rateLimit'], freeAheadMs: number | null): number | null {
  if (limit === null || freeAheadMs === null) return null
  const { intervalMs, burst } = pace(limit)
  return freeAheadMs - (burst - 1) * intervalMs > -TAKES_WITHIN_MS ? 1_000 / intervalMs : null
}

/** Pieces to count over all jobs. Each job gets an equal part, and a full part also stands for more. */
const MAX_READY = 100_000
/** How many pieces to read of those that came last. */
const MAX_LAST = 1_000
/** Starts from which to compute the rate. */
const MAX_STARTS = 1_000
/** Older starts say nothing about the present rate. */
const RATE_SECONDS = 3_600
/** Count as coming what came within this, or within half of the oldest wait: a single load that came at once is not a rate. */
const COMING_SECONDS = 300

const secondsSince = (instant: string) => `extract(epoch from now() - ${instant})::float8`

/**
 * A row for each name of `$1` with due work that waits: how much, how fast workers take it, and how fast more comes. Each part
 * reads a bounded number of rows, however much waits: what came last stands at the end of the index by which claims find work.
 */
export const BACKLOG_SQL = `
  with oldest as materialized (
    select n.name, ${oldestDue('n.name')} as at from unnest($1::text[]) n(name)
  ), wanted as materialized (
    select name, age."seconds", run."usualSeconds", run."meanSeconds",
           least(age."seconds" / 2, ${COMING_SECONDS}) as "comingSeconds",
           least(age."seconds", ${RATE_SECONDS}) as "rateSeconds"
    from oldest cross join lateral (select greatest(${secondsSince('at')}, 0.001) as "seconds") age
    cross join lateral (
      select ${SLOW_FACTOR} * "ms" / 1000 as "usualSeconds", "meanMs" / 1000 as "meanSeconds" from ${usualOf('oldest.name')} past
    ) run
    where at is not null
  ), budget as materialized (
    select ${MAX_READY} / greatest(count(*), 1) as most from wanted
  )
  select wanted.name, wanted."seconds" as "oldestSeconds", waiting.count as "ready",
         waiting.count >= (select most from budget) as "isCut",
         coalesce(busy.rate, taken.count / over.taken) as "takenPerSecond", coming.count / over.coming as "comingPerSecond",
         busy.rate is not null as "isUsual",
         (select 1000 * ${secondsSince('max("freeAt")')} from "JobThrottle" where "name" = wanted.name) * -1 as "freeAheadMs",
         -- Counts vary by about their root.
         busy.rate is null and taken.count > 0 and coming.count > 0 and abs(taken.count / over.taken - coming.count / over.coming)
           < 2 * sqrt(taken.count / over.taken ^ 2 + coming.count / over.coming ^ 2) as "isEven"
  from wanted
  cross join lateral ${countWork('wanted.name', DUE_PARTS, '(select most from budget)')} waiting
  cross join lateral (
    select count(*) as read, (count(*) filter (where not ${NEVER_RAN}))::float8 as count,
           greatest(${secondsSince('min("startedAt")')}, 0.001) as "seconds"
    from (
      select "startedAt", "errorCode", "details" from "JobRunAll"
      where ${equalsInOrder('"name"', 'wanted.name')}
        and "startedAt" > now() - wanted."rateSeconds" * interval '1 second'
      order by "name", "startedAt" desc, "id" desc limit ${MAX_STARTS}
    ) run
  ) taken
  cross join lateral (
    select count(*) as read, greatest(${secondsSince('min(last."dueAt")')}, 0.001) as "seconds",
           (count(*) filter (where last."dueAt" > now() - wanted."comingSeconds" * interval '1 second'))::float8 as count
    from (
      select work."dueAt" from "JobWork" work where work."name" = wanted.name and ${READY}
      order by work."rank" desc, work."place" desc limit ${MAX_LAST}
    ) last
  ) coming
  cross join lateral (
    -- What waits may wait for runs that take as long as usual. Those that go on for longer may never end.
    select nullif(count(*), 0) / nullif(wanted."meanSeconds", 0) as rate from ${RUNS_UNDER_WAY}
    where wanted."seconds" <= wanted."usualSeconds" and run."name" = wanted.name
      and run."startedAt" > now() - wanted."usualSeconds" * interval '1 second'
  ) busy
  cross join lateral (
    select case when taken.read = ${MAX_STARTS} then taken."seconds" else wanted."rateSeconds" end as taken,
           case when coming.read = ${MAX_LAST} then least(coming."seconds", wanted."comingSeconds") else wanted."comingSeconds" end as coming
  ) over
  order by wanted."seconds" desc, wanted.name`
