import { equalsInOrder } from './equalsInOrder.ts'
import { firstDue, secondsSince } from './queueSql.ts'

/*
 * How much due work waits, how fast workers take it, and how fast more comes. Each part reads a bounded number of rows,
 * however much waits: one index lists it as it was due, and that by which claims find work lists from its end what came last.
 */

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

const READY = `
  job.name = wanted.name and job.state < 'active' and not job.blocked and job.start_after <= now()`

/** A row for each name of `$1` with due work that waits. */
export const BACKLOG_SQL = `
  with oldest as materialized (
    select n.name, ${secondsSince('min(first.at)')} as "seconds"
    from unnest($1::text[]) n(name)
    cross join lateral (${firstDue('created')} union all ${firstDue('retry')}) first
    group by n.name
  ), wanted as materialized (
    select name, greatest("seconds", 0.001) as "seconds",
           least(greatest("seconds", 0.001) / 2, ${COMING_SECONDS}) as "comingSeconds",
           least(greatest("seconds", 0.001), ${RATE_SECONDS}) as "rateSeconds"
    from oldest
  ), budget as materialized (
    select ${MAX_READY} / greatest(count(*), 1) as most from wanted
  )
  select wanted.name, wanted."seconds" as "oldestSeconds", waiting.count as "ready",
         waiting.count >= (select most from budget) as "isCut",
         taken.count / case when taken.count = ${MAX_STARTS} then taken."seconds" else wanted."rateSeconds" end as "takenPerSecond",
         coming.count / case when coming.read = ${MAX_LAST} then least(coming."seconds", wanted."comingSeconds") else wanted."comingSeconds" end
           as "comingPerSecond"
  from wanted
  cross join lateral (
    select count(*)::int as count from (select from pgboss.job job where ${READY} limit (select most from budget)) job
  ) waiting
  cross join lateral (
    select count(*)::float8 as count, greatest(${secondsSince('min("startedAt")')}, 0.001) as "seconds" from (
      select "startedAt" from "JobRunAll"
      where ${equalsInOrder('"name"', 'wanted.name')}
        and "startedAt" > now() - wanted."rateSeconds" * interval '1 second'
      order by "name", "startedAt" desc, "id" desc limit ${MAX_STARTS}
    ) run
  ) taken
  cross join lateral (
    select count(*) as read, greatest(${secondsSince('min(job.start_after)')}, 0.001) as "seconds",
           (count(*) filter (where job.start_after > now() - wanted."comingSeconds" * interval '1 second'))::float8 as count
    from (
      select job.start_after from pgboss.job job where ${READY}
      order by job.priority, job.created_on desc limit ${MAX_LAST}
    ) job
  ) coming
  order by wanted."seconds" desc, wanted.name`
