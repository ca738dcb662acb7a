import { RUNNING_RUNS } from '../liveness/whoIsLost.ts'
import { IS_DEAD_LETTER } from './deadLetterSql.ts'
import { readCount } from './losses.ts'
import { MAX_BACK_OFF_S } from './losses.ts'
import { IS_UNWRITTEN, UNWRITTEN_RUNS } from './starts.ts'
import { HOLDS_KEY } from './uniqueKeys.ts'

/*
 * What the engine asks of the queue's table, pgboss.job. The callers are elsewhere; what the columns mean is only here.
 *
 * A piece of work is a row in one of these states. `state < 'active'` means created or retry.
 *
 *   created    Enqueued, and not taken yet. A claim makes it active or moves it to JobStart (starts.ts), once start_after has
 *              come and its queue is not paused. People cancel, postpone or reprioritise it; an enqueue with
 *              `onConflict: 'replace'` and the same unique key replaces it.
 *   retry      To be taken again: after a failed or lost attempt, a drained one, one given back, or a redrive. As created.
 *   active     A worker carries out its run. The settler deletes the row when the run succeeded. After a failed or lost run
 *              queue.fail() makes it retry, failed or cancelled. Once a minute pg-boss in some worker makes what is beyond
 *              expire_seconds retry or failed.
 *   completed  The engine never leaves work here: its run is the record that remains.
 *   failed     Given up. A redrive makes it retry, runOnce makes it active for one attempt, discarding deletes it. pg-boss
 *              deletes after deletion_seconds; for dead letters that is 0, and they stay.
 *   cancelled  Not wanted any more: people cancelled it, it came too late to start, or newer work took its unique key while
 *              it ran and it was to be retried, or somebody approved a run of it, by which other work takes its place. pg-boss deletes it after deletion_seconds.
 */

/**
 * Whether somebody has paused the queue of the job that `name` names. It is a value because the table is nearly always
 * empty: for a test for null PostgreSQL would expect almost no row to pass, and keep a claim plan that suits only few rows.
 */
export const isPausedSql = (name: string) =>
  `coalesce((select true from "JobQueue" paused where paused."name" = ${name}), false)`

/** Whether a worker has ever declared the queue `$1`. */
export const KNOWS_QUEUE_SQL = `select queue.name from pgboss.queue queue where queue.name = $1`

/**
 * Whether job `n.name` has work in `state` that is due. The order has PostgreSQL begin with what has been due for longest, and
 * not read through all that is for later.
 */
const isReadySql = (state: string) => `exists (
    select from (
      select from pgboss.job j
      where j.name = n.name and j.state = '${state}' and not j.blocked and j.start_after <= now()
      order by j.start_after limit 1
    ) first
  )`

/**
 * Those jobs among the parameter `names` that have work to take now. Workers ask every second, because delayed work and
 * retries send no notification.
 */
export function readyJobsSql(names: string): string {
  return `
  select n.name from unnest(${names}::text[]) n(name)
  where (${isReadySql('created')} or ${isReadySql('retry')}) and not ${isPausedSql('n.name')}`
}

/** When the retry `work` is due at the latest, by its policy or after losses. One that is due later was postponed. */
const LAST_RETRY_AT = `
  now() + greatest(work.retry_delay, work.retry_delay_max, ${MAX_BACK_OFF_S}) * interval '1 second'`

/**
 * Whether a job has work that is due, is to be retried, or runs, or a run that did not come from the queue. Dry runs do not
 * count, nor does what was enqueued or postponed for a later instant. `name` is an expression for the job's name.
 */
export function isUnfinishedSql(name: string): string {
  const hasWork = (which: string) => `exists (
      select from pgboss.job work
      where work.name = ${name} and ${which} and work.data ->> 'dryRun' is distinct from 'true'
    )`
  // However much waits or has run, each of the first parts reads one row of an index, and the next only the runs under way.
  return `(
    ${hasWork(`work.state = 'created' and not work.blocked and work.start_after <= now()`)}
    or ${hasWork(`work.state = 'retry' and not work.blocked and work.start_after <= ${LAST_RETRY_AT}`)}
    or ${hasWork(`work.state = 'active'`)}
    or ${name} in (select run."name" from ${RUNNING_RUNS} where not run."dryRun")
    or exists (select from ${UNWRITTEN_RUNS} where start."name" = ${name} and ${IS_UNWRITTEN})
  )`
}

/** The jobs, except `$1`, of which the queue holds anything that is not over, or whose queue is paused. */
export const OTHER_JOBS_SQL = `
  select queue.name from pgboss.queue queue
  where queue.name <> all($1::text[]) and (
    exists (select from pgboss.job job where job.name = queue.name and job.state < 'active')
    or exists (select from pgboss.job job where job.name = queue.name and job.state = 'active')
    or exists (select from ${UNWRITTEN_RUNS} where start."name" = queue.name and ${IS_UNWRITTEN})
    or exists (select from pgboss.job job where job.name = queue.name and ${IS_DEAD_LETTER})
  )
  union select paused."name" from "JobQueue" paused where paused."name" <> all($1::text[])
  order by 1`

/** When work `$2` of job `$1` was enqueued. No row once the work has left the queue and JobStart. */
export const FIND_ENQUEUED_AT_SQL = `
  select created_on as "enqueuedAt" from pgboss.job where name = $1 and id = $2::uuid
  union all
  select held.at from "JobStart" start cross join unnest(start."runIds", start."enqueuedAt") as held(id, at)
  where start."name" = $1 and held.id = $2::uuid
  limit 1`

/** Completed work has left the queue, and its run remains. One statement, so that it sees both at the same moment. */
export const FIND_WORK_SQL = `
  select id::text as "id", state::text as "state", start_after as "startAfter", left(output ->> 'code', 100) as "errorCode"
  from pgboss.job where name = $1 and id = any($2::uuid[])
  union all
  select run."workId"::text, 'completed', run."endedAt", null
  from "JobRun" run
  where run."workId" = any($2::uuid[]) and run."name" = $1 and run."status" = 'success'
  union all
  select held.id::text, 'active', start."startedAt", null
  from ${UNWRITTEN_RUNS}
  where start."name" = $1 and held.id = any($2::uuid[]) and ${IS_UNWRITTEN}`

/** The state of a piece of work and its last run, as one row read at one moment. */
export const FIND_RESULT_SQL = `
  select work.*, exists (
           select from "JobStart" start where start."name" = $1 and start."runIds" @> array[$2::uuid]
         ) as "isStarted", exists (
           select from "JobAction" where "workId" = $2::uuid and "name" = $1 and "action" = 'cancelWork'
         ) as "isCancelled", run.*
  from (select) one
  left join lateral (
    select state::text as "state", left(output ->> 'code', 100) as "code", left(output ->> 'message', 1000) as "message"
    from pgboss.job where name = $1 and id = $2::uuid
  ) work on true
  left join lateral (
    select "id" as "runId", "status"::text as "status", "errorCode" as "runCode",
           left("details" #>> '{error,message}', 2000) as "runMessage", "result"::text as "result"
    from "JobRun" where "workId" = $2::uuid and "name" = $1
    order by "attempt" desc, "startedAt" desc limit 1
  ) run on true`

/** Whether work is a dead letter, and when it may be taken next. No row where the work is gone. */
export const FIND_WORK_OF_RUN_SQL = `
  select ${IS_DEAD_LETTER} as "isDeadLetter", case when job.state < 'active' then job.start_after end as "nextAt"
  from pgboss.job job where job.name = $1 and job.id = $2::uuid`

/**
 * The payload of a run, while the queue has it: null once its work is gone, or newer work has taken its place or its key. Ticks have an
 * empty one. As text: a host's client that reads JSON may rename its keys.
 */
const PAYLOAD_OF_RUN = `coalesce((
    select coalesce(job.data -> 'payload', '{}')::text from pgboss.job job
    where job.name = run."name" and job.id = run."workId" and run."attempt" > ${readCount('attemptsBefore')}
      and job.data ->> 'replacedBy' is null
  ), case when run."trigger" = 'schedule' then '{}' end)`

/** Keeps the payload of a blocked run that did not come from the queue, as that of work which has failed. */
export const KEEP_PAYLOAD_SQL = `
  with kept as (
    insert into pgboss.job (id, name, data, state, completed_on, output, retry_limit, policy, deletion_seconds)
    select $1::uuid, queue.name, jsonb_build_object('trigger', 'cli', 'payload', $3::jsonb), 'failed', now(),
           '{"code": "guard_blocked"}', 0, queue.policy, queue.deletion_seconds
    from pgboss.queue queue where queue.name = $2
    returning id
  )
  update "JobRun" run set "workId" = kept.id from kept where run."id" = kept.id`

export const FIND_PAYLOAD_SQL = `
  select run."name", ${PAYLOAD_OF_RUN} as "payload" from "JobRun" run where run."id" = $1::uuid`

/** The work that holds the unique key `$2`, or else the last that was given up with it since `$3`. */
export const FIND_WORK_BY_KEY_SQL = `
  select id::text as "id", state::text as "state", start_after as "startAfter", null as "errorCode"
  from pgboss.job where name = $1 and singleton_key = $2 and ${HOLDS_KEY}
  union all (
    select job.id::text, job.state::text, job.start_after, coalesce(left(job.output ->> 'code', 100), 'expired')
    from pgboss.job job
    where ${IS_DEAD_LETTER} and job.completed_on >= $3::timestamptz and job.name = $1 and job.singleton_key = $2
    order by job.completed_on desc limit 1
  )
  order by "errorCode" nulls first limit 1`

/** As `state < 'active'`, and by an index of pg-boss that lists a state by time: so much is counted without the table. */
const IS_WAITING = `job.state in ('created', 'retry')`

/** A number also for an instant without an end, which somebody has written by hand. Null for none. */
export const secondsSince = (instant: string): string =>
  `extract(epoch from now() - case ${instant} when 'infinity' then now() when '-infinity' then '0001-01-01Z' else ${instant} end)::float8`
const WAITS = `${IS_WAITING} and job.start_after`
/** When the work of job `n.name` in `state` was due that has been due for longest. No row where none is. */
export const firstDue = (state: string) => `
  (select job.start_after as at from pgboss.job job
   where job.name = n.name and job.state = '${state}' and not job.blocked and job.start_after <= now()
   order by job.start_after limit 1)`

/**
 * Counts work that is not completed, by indexes that hold nothing else: of each job up to `most` that is due, and as much that is not. A row for each name of
 * `$1`.
 */
export const countQueueSql = (most: number) => `
  select n.name, ready.count + delayed.count as "waiting", delayed.count as "delayed",
         (coalesce(active.count, 0) + started.count)::int as "active", coalesce(dead.count, 0)::int as "deadLetters",
         due.oldest as "oldestWaitingAt", dead.oldest as "oldestDeadLetterAt"
  from unnest($1::text[]) n(name)
  cross join lateral (
    select count(*)::int as count from (
      select from pgboss.job job where job.name = n.name and ${WAITS} <= now() limit ${most}
    ) one
  ) ready
  cross join lateral (
    select count(*)::int as count from (
      select from pgboss.job job where job.name = n.name and ${WAITS} > now() limit ${most}
    ) one
  ) delayed
  cross join lateral (
    select min(first.at) as oldest from (${firstDue('created')} union all ${firstDue('retry')}) first
  ) due
  left join lateral (
    select count(*) as count from pgboss.job job where job.name = n.name and job.state = 'active'
  ) active on true
  cross join lateral (
    select count(*) as count from ${UNWRITTEN_RUNS} where start."name" = n.name and ${IS_UNWRITTEN}
  ) started
  left join (
    select job.name, count(*) as count, min(job.completed_on) as oldest
    from pgboss.job job where job.name = any($1::text[]) and ${IS_DEAD_LETTER} group by 1
  ) dead on dead.name = n.name`

/** A row for each name of `$1` and each state. It counts up to `most` of each, and of the dead letters of all `most`. */
export function measureQueueSql(most: number): string {
  const count = (where: string) => `
    (select count(*)::int from (
       select from pgboss.job job where job.name = n.name and ${where} limit ${most}
     ) counted)`
  return `
  -- One pass: their index does not list them by name.
  with letters as materialized (
    select letter.name, count(*)::int as count, ${secondsSince('min(letter.completed_on)')} as seconds
    from (
      select job.name, job.completed_on from pgboss.job job where job.name = any($1::text[]) and ${IS_DEAD_LETTER}
      order by job.completed_on desc, job.id desc limit ${most}
    ) letter group by 1
  )
  select n.name, measure.* from unnest($1::text[]) n(name)
  cross join lateral (values
    ('ready', ${count(`${WAITS} <= now()`)}, (
      select ${secondsSince('min(first.at)')} from (${firstDue('created')} union all ${firstDue('retry')}) first
    )),
    ('delayed', ${count(`${WAITS} > now()`)}, null),
    ('active', least(${most}, ${count(`job.state = 'active'`)} + (
      select count(*)::int from ${UNWRITTEN_RUNS} where start."name" = n.name and ${IS_UNWRITTEN}
    )), (
      select max(${secondsSince('job.started_on')}) from ((
        select started_on from pgboss.job job where job.name = n.name and job.state = 'active'
        limit ${most}
      ) union all (
        select start."createdAt" from ${UNWRITTEN_RUNS} where start."name" = n.name and ${IS_UNWRITTEN}
        limit ${most}
      )) job
    )),
    ('deadLetter', coalesce((select letters.count from letters where letters.name = n.name), 0),
      (select letters.seconds from letters where letters.name = n.name))
  ) as measure("state", "count", "oldestSeconds")`
}

/** Locks the work of a run, before somebody redrives it, takes it, or approves another run of it. */
export const LOCK_WORK_OF_RUN_SQL = `
  select job.id::text as "id" from pgboss.job job
  where (job.name, job.id) = (select run."name", run."workId" from "JobRun" run where run."id" = $1::uuid) for update`

/**
 * Reads a run that may be approved, and locks it. The second of two people who approve at once finds it approved: whoever waits
 * for the lock sees this row as it is then, but all others as they were before. Of its work's other runs the lock of the work
 * keeps them apart.
 */
export const LOCK_BLOCKED_RUN_SQL = `
  select run."name",
         run."errorCode" is not distinct from 'guard_blocked' as "isBlocked",
         run."approvedAt" is not null or exists (
           select from "JobRun" approved
           where approved."workId" = run."workId" and approved."name" = run."name" and approved."approvedAt" is not null
         ) as "isApproved",
         run."endedAt" < now() - interval '1 day' as "isTooOld", run."label", run."shown"::text as "shown",
         case when jsonb_typeof(run."details" #> '{guard,due}') = 'number'
           then case when (run."details" #> '{guard,due}')::numeric between 0 and 9007199254740991
             then (run."details" #> '{guard,due}')::float8 end end as "due",
         to_char((now() + interval '1 day') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "until", ${PAYLOAD_OF_RUN} as "payload"
  from "JobRun" run where run."id" = $1::uuid for update of run`
