import { RUNNING_RUNS } from '../liveness/whoIsLost.ts'
import type { Logger } from '../job/logger.ts'
import type { Connection } from './database.ts'
import { LOCKED_QUEUES } from './findLocked.ts'
import { GIVES_WAY } from './giveWay.ts'
import { labelOf, shownOf } from './envelopeSql.ts'

/*
 * Starts. A claim moves the work of plain first attempts from the queue into one row of JobStart, without writing their
 * runs. A run that succeeds and needed no row before is then written once, at its end. A run is written as soon as JobRun
 * has its id, whoever wrote it; until then its start holds it.
 *
 *   unwritten    JobStart alone has the run and its envelope. One of the two below ends it.
 *   written      JobRun has it as a success: its worker's settler wrote it at its end (writeEnds).
 *   written out  JobRun has it as running, JobClaim holds it under the start's id, and the queue has its work as active, as
 *                if the claim had written it at once. Who does so: its worker before the run's first batch or progress
 *                (writeOuts.ts), or when it failed (settler.ts), or when a claim's answer never came; a round of any worker
 *                after 2 s; the rescue when its worker is lost; a client that cancels it; the trigger of a signing-up
 *                worker of a version that does not read starts.
 *
 * The settler deletes the row of a start whose last run has ended; writing all of it out deletes it as well.
 *
 * This file says what may be a start, which runs starts hold, and how runs are written out.
 */

/** Work with a larger envelope is no start: its row stays in the queue. */
const MAX_ENVELOPE_BYTES = 1_000

/** The columns that say how often and how far apart work is tried again, of a queue or of one piece of work. */
export function retries(row: 'job' | 'queue'): string {
  return `${row}.retry_limit, ${row}.retry_delay, ${row}.retry_backoff, coalesce(${row}.retry_delay_max, -1)`
}

/** Whether work was enqueued for later, or postponed. Its run then has a `dueAt`. */
export function isDelayedSql(job: string): string {
  return `${job}.start_after > ${job}.created_on + interval '1 second'`
}

/**
 * Whether work may be a start, if its run is not written: all columns of its run follow from it, and its row can be made
 * again from its queue and envelope.
 */
export const MAY_START = `
  job.state = 'created' and job.started_on is null and job.retry_count = 0 and job.priority = 0
  and job.singleton_key is null and job.singleton_on is null and job.group_id is null and job.dead_letter is null
  and job.heartbeat_seconds is null and job.trace_context is null and job.source_id is null and not job.blocking
  and not ${isDelayedSql('job')} and pg_column_size(job.data) <= ${MAX_ENVELOPE_BYTES}
  and pg_column_compression(job.data) is null and job.data ->> 'trigger' = 'queue' and row(${retries('job')}) = wanted."retries"
  and not job.data ?| array['scheduledFor', 'dryRun', 'actor', 'reason', 'lost', 'lostAlone']`

/** The next round of any worker writes out a run that has not ended by then. */
export const WRITE_OUT_AFTER_MS = 2_000

/** Keeps a round short, however many starts there are. */
const MAX_OLD_STARTS = 10

/**
 * The oldest starts past WRITE_OUT_AFTER_MS, as one array, without those that others have locked or of which they have locked
 * the queue. Where all runs of one have ended, its worker soon deletes it.
 */
export const OLD_STARTS_SQL = `
  select coalesce(array_agg(old."id"::text), '{}') from (
    select start."id" from "JobStart" start
    where start."createdAt" < now() - interval '${WRITE_OUT_AFTER_MS} milliseconds' and start."runIds" <> '{}'
      and start."name" not in (${LOCKED_QUEUES})
    order by start."createdAt" limit ${MAX_OLD_STARTS} for update skip locked
  ) old`

/** `start` and `held` of each run in JobStart. With IS_UNWRITTEN it is what RUNNING_RUNS is for written runs. */
export const UNWRITTEN_RUNS = `
  "JobStart" start cross join unnest(start."runIds") as held(id)`
/** A value, so that PostgreSQL looks each run up by its id: for a `not exists` it may read all runs. */
export const IS_UNWRITTEN = `(select true from "JobRun" written where written."id" = held.id) is null`

/** Every run under way, written or not, with the columns that both kinds have. */
export const RUNS_UNDER_WAY = `(
    select run."id", run."name", run."startedAt", run."workerId", run."progress" from ${RUNNING_RUNS}
    union all
    select held.id, start."name", start."startedAt", start."workerId", null from ${UNWRITTEN_RUNS} where ${IS_UNWRITTEN}
  ) run`

/**
 * The CTEs that write runs out. Writing a run out and writing its end both lock its start: the second waits for the first,
 * and then finds the run written. Starts without runs close their claims (settleClaims) and are left alone.
 *
 *   start     The starts that `starts` selects, locked.
 *   work      Their runs that meet `isWanted`, a condition on `held`, with their envelopes.
 *   run       Each gets a row in JobRun as running, unless it has one. The steps below are for those that had none.
 *   queued    Their work comes back to the queue, as active.
 *   claimed   A claim with the id of the start holds them.
 *
 * Steps of the tables hold this text by the two exported constants: it must not change, not even its spaces.
 */
function writeOutSql(starts: string, isWanted: string, told = LABELS): string {
  return `
  with start as materialized (
    ${starts}
  ), work as materialized (
    select start.*, held.* from start
      cross join lateral unnest(start."runIds", start."envelopes", start."enqueuedAt")
        as held("runId", "envelope", "at")
    where ${isWanted}
  ), run as (
    insert into "JobRun" ("id", "name", "trigger", "attempt", "startedAt", "workId", "workerId", "createdAt"${told.columns})
    select work."runId", work."name", 'queue'::"JobTrigger", 1, work."startedAt", work."runId", work."workerId", work."createdAt"${told.values}
    from work
    on conflict ("id") do nothing
    returning "id"
  ), queued as (
    insert into pgboss.job (
      id, name, data, state, start_after, created_on, started_on, heartbeat_on, keep_until, expire_seconds,
      deletion_seconds, retry_limit, retry_delay, retry_backoff, retry_delay_max, policy
    )
    select work."runId", queue.name, work."envelope", 'active', work."at", work."at", work."createdAt", work."createdAt",
      work."at" + queue.retention_seconds * interval '1 second', coalesce(work."expireSeconds", queue.expire_seconds),
      0, work."retryLimit", queue.retry_delay, queue.retry_backoff, queue.retry_delay_max, queue.policy
    from work join run on run."id" = work."runId" join pgboss.queue queue on queue.name = work."name"
    on conflict do nothing
  ), claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "runIds", "createdAt")
    select work."id", work."name", work."workerId", array_agg(run."id"), work."createdAt"
    from work join run on run."id" = work."runId"
    group by work."id", work."name", work."workerId", work."createdAt"
    on conflict ("id") do update set "runIds" = "JobClaim"."runIds" || excluded."runIds"
  )`
}

/** The columns of a run that come from its envelope. */
const LABELS = {
  columns: ', "label", "shown"',
  values: `, ${labelOf('work."envelope"')}, ${shownOf('work."envelope"')}`,
}
/** For tables of the version before labels. */
const NO_LABELS: typeof LABELS = { columns: '', values: '' }

/** Writes out all runs of the starts that meet `which`, and deletes those starts. */
const wholeSql = (which: string, lock = 'for update skip locked', told = LABELS) => `
  ${writeOutSql(`select * from "JobStart" where ${which} and "runIds" <> '{}' order by "id" ${lock}`, 'true', told)}
  delete from "JobStart" where "id" in (select "id" from start)`

const WHOLE_SQL = wholeSql(`"id" = any($1::uuid[]) and ${GIVES_WAY}`)
/** For the trigger that fires when a worker of an older version signs up. */
export const WRITE_OUT_ALL_SQL = wholeSql('true', undefined, NO_LABELS)
export const WRITE_OUT_ALL_LABELLED_SQL = wholeSql('true')

/**
 * Writes out all runs of these starts, one start after the other: one that fails keeps no other back, and the next round
 * tries it again. It passes over a start that another transaction has locked, as a worker does that settles its runs, and
 * begins none after `maxMs`. Default: it tries all.
 */
export async function writeOutStarts(
  connection: Connection,
  log: Pick<Logger, 'warn'>,
  ids: readonly string[],
  maxMs = Infinity,
): Promise<void> {
  if (ids.length === 0) return
  const until = performance.now() + maxMs
  const { rows } = await connection.query<{ id: string }>(
    `select "id"::text as "id" from "JobStart" where "id" = any($1::uuid[]) and "runIds" <> '{}'
       and "name" not in (${LOCKED_QUEUES})`,
    [ids],
  )
  for (const { id } of rows) {
    if (performance.now() > until) return
    try {
      await connection.query(WHOLE_SQL, [[id]])
    } catch (error) {
      log.warn(
        { err: error, startId: id },
        'runs that have started could not be recorded, trying again',
      )
    }
  }
}

const WHOLE_WAITING_SQL = wholeSql('"id" = any($1::uuid[])', 'for update')

/** Does the same for claims whose answers never came, but waits for locks: their worker has to know all that they took. */
export async function writeOutLostClaims(
  connection: Connection,
  claimIds: readonly string[],
): Promise<void> {
  await connection.query(WHOLE_WAITING_SQL, [claimIds])
}

const SOME_SQL = `
  ${writeOutSql(
    `select * from "JobStart" where "id" = any($1::uuid[]) and ${GIVES_WAY} order by "id" for update`,
    'held."runId" = any($2::uuid[])',
  )}
  select count(*) from run`

/** Writes out these runs of these starts. */
export async function writeOutRuns(
  connection: Connection,
  startIds: readonly string[],
  runIds: readonly string[],
): Promise<void> {
  await connection.query(SOME_SQL, [startIds, runIds])
}

/** Writes out the run `$1`, if a start holds it. */
export const WRITE_OUT_RUN_SQL = `
  ${writeOutSql(
    `select * from "JobStart" where "runIds" @> array[$1::uuid]
     and (select true from "JobRun" written where written."id" = $1::uuid) is null order by "id" for update`,
    'held."runId" = $1::uuid',
  )}
  select count(*)::int as "written" from run`
