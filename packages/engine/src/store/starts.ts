import type { Details } from '../index.ts'
import { RUNNING_RUNS } from '../liveness/whoIsLost.ts'
import type { Logger } from '../job/logger.ts'
import type { Connection } from './database.ts'
import { toldColumns, type EndToRecord } from './settleWork.ts'
import { labelOf, shownOf } from './labelSql.ts'
import { toColumn } from './toColumn.ts'

/*
 * Starts. Where a claim takes plain first attempts, JobStart says what runs, and the queue gives their work away: a run
 * that succeeds without having said anything is written once, at its end. Whatever else becomes of a run first writes
 * it out: into JobRun as running, held by a claim of the start's id, with its work under way in the queue, as if it had
 * been taken so. A run is written if JobRun has its id, whoever has done it; until then its start holds it.
 *
 * Read from top to bottom: what may be taken so, how it is written out, and how it is written at its end.
 */

/** Larger envelopes stay in the queue's table. */
const MAX_ENVELOPE_BYTES = 1_000

/** How often and how far apart work is tried again, as values: by its queue, or by itself. */
export function retries(row: 'job' | 'queue'): string {
  return `${row}.retry_limit, ${row}.retry_delay, ${row}.retry_backoff, coalesce(${row}.retry_delay_max, -1)`
}

/** Whether work was not to be started when it was enqueued, or was put off. By then its run was due, which says so. */
export function isDelayedSql(job: string): string {
  return `${job}.start_after > ${job}.created_on + interval '1 second'`
}

/**
 * A row of the queue whose run's columns are all known from it, and which can be made again from its queue and envelope.
 * Whether a run has its id is asked as a value: for a `not exists` a kept plan may read all runs.
 */
export const MAY_START = `
  job.state = 'created' and job.started_on is null and job.retry_count = 0 and job.priority = 0
  and job.singleton_key is null and job.singleton_on is null and job.group_id is null and job.dead_letter is null
  and job.heartbeat_seconds is null and job.trace_context is null and job.source_id is null and not job.blocking
  and not ${isDelayedSql('job')} and job.data ->> 'trigger' = 'queue' and pg_column_size(job.data) <= ${MAX_ENVELOPE_BYTES}
  and pg_column_compression(job.data) is null and concat_ws(' ', ${retries('job')}) = wanted."retries"
  and not job.data ?| array['scheduledFor', 'dryRun', 'actor', 'reason', 'lost', 'lostAlone']
  and (select true from "JobRun" earlier where earlier."id" = job.id) is null`

/** What has not ended by then is written out in the next round of any worker. */
export const WRITE_OUT_AFTER_MS = 2_000

/** So that one round ends soon, however much was started. */
const MAX_OLD_STARTS = 10

/** Starts with runs that go on for longer than most, as one array. Where all have ended, their worker lets go soon. */
export const OLD_STARTS_SQL = `
  select coalesce(array_agg(old."id"::text), '{}') from (
    select start."id" from "JobStart" start
    where start."createdAt" < now() - interval '${WRITE_OUT_AFTER_MS} milliseconds' and start."runIds" <> '{}'
    order by start."createdAt" limit ${MAX_OLD_STARTS}
  ) old`

/** `start` and `held` of each run that is under way and not written, as RUNNING_RUNS has those that are. */
export const UNWRITTEN_RUNS = `
  "JobStart" start cross join unnest(start."runIds") as held(id)`
/** As a value, each is looked up by its id: for a `not exists`, PostgreSQL may read all runs. */
export const IS_UNWRITTEN = `(select true from "JobRun" written where written."id" = held.id) is null`

/** What is under way, written or not: as much of it as both tell. */
export const RUNS_UNDER_WAY = `(
    select run."id", run."name", run."startedAt", run."workerId", run."progress" from ${RUNNING_RUNS}
    union all
    select held.id, start."name", start."startedAt", start."workerId", null from ${UNWRITTEN_RUNS} where ${IS_UNWRITTEN}
  ) run`

/**
 * Of those that are being settled, the run that comes second waits for the first, by the lock on their start, and then
 * finds it written. A start goes once all of its runs are written; an empty one closes its claim, and stays.
 */
function writeOutSql(starts: string, isWanted: string, told: Told = LABELS): string {
  return `
  with start as materialized (
    ${starts}
  ), work as materialized (
    select start.*, held.* from start
      cross join lateral unnest(start."runIds", start."envelopes", start."enqueuedAt")
        as held("runId", "envelope", "at")
    where ${isWanted}
  ), run as (
    insert into "JobRun" ("id", "name", "trigger", "attempt", "startedAt", "queueJobId", "workerId", "createdAt"${told.columns})
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

/** What of the envelope a run carries; empty before it did. */
interface Told {
  columns: string
  values: string
}
const LABELS: Told = {
  columns: ', "label", "shown"',
  values: `, ${labelOf('work."envelope"')}, ${shownOf('work."envelope"')}`,
}
const NO_LABELS: Told = { columns: '', values: '' }

const wholeSql = (which: string, lock = 'for update skip locked', told = LABELS) => `
  ${writeOutSql(`select * from "JobStart" where ${which} and "runIds" <> '{}' order by "id" ${lock}`, 'true', told)}
  delete from "JobStart" where "id" in (select "id" from start)`

const WHOLE_SQL = wholeSql('"id" = any($1::uuid[])')
/** For the trigger that a worker of a version before sets off: steps of the tables, so both stay as they are. */
export const WRITE_OUT_ALL_SQL = wholeSql('true', undefined, NO_LABELS)
export const WRITE_OUT_ALL_LABELLED_SQL = wholeSql('true')

/**
 * Writes out all runs of these starts, one start after the other: one that cannot be written out keeps no other from it, and
 * is met again in the next round. Those of a worker that stands still in the middle of settling are passed over.
 */
export async function writeOutStarts(
  connection: Connection,
  log: Pick<Logger, 'warn'>,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return
  const { rows } = await connection.query<{ id: string }>(
    `select "id"::text as "id" from "JobStart" where "id" = any($1::uuid[]) and "runIds" <> '{}'`,
    [ids],
  )
  for (const { id } of rows) {
    try {
      await connection.query(WHOLE_SQL, [[id]])
    } catch (error) {
      log.warn({ err: error, startId: id }, 'writing out what was started failed, trying again')
    }
  }
}

const WHOLE_WAITING_SQL = wholeSql('"id" = any($1::uuid[])', 'for update')

/** The same for claims whose answers never came: their worker has to know all that they took, so it waits for locks. */
export async function writeOutLostClaims(
  connection: Connection,
  claimIds: readonly string[],
): Promise<void> {
  await connection.query(WHOLE_WAITING_SQL, [claimIds])
}

const SOME_SQL = `
  ${writeOutSql(
    'select * from "JobStart" where "id" = any($1::uuid[]) order by "id" for update',
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

/**
 * Writes runs that have succeeded, of starts that still hold them, and lets starts go whose last runs these are. What is
 * missing in the answer is written already, or is not this worker's any more.
 */
export async function writeEnds(
  connection: Connection,
  workerId: string,
  ends: readonly (EndToRecord & { ended: { held: { id: string } } })[],
  startIds: readonly string[],
): Promise<Map<string, Details | null>> {
  const isTelling = ends.some(({ ended: { run, logs, result } }) =>
    [run.label, run.shown, logs, result].some((told) => (told ?? null) !== null),
  )
  const { rows } = await connection.query<{
    ended: string[] | null
    details: Record<string, Details>
  }>(isTelling ? WRITE_TELLING_ENDS_SQL : WRITE_ENDS_SQL, [
    workerId,
    toColumn(ends.map(({ ended }) => ended.run.id)),
    toColumn(ends.map(({ ended }) => ended.held.id)),
    toColumn(ends.map(({ ended }) => ended.endedAt)),
    toColumn(ends.map(({ details }) => details)),
    startIds,
    ends.length,
    ...(isTelling
      ? [
          toColumn(ends.map(({ ended }) => ended.run.label ?? null)),
          toColumn(
            ends.map(({ ended: { run } }) => (run.shown ? JSON.stringify(run.shown) : null)),
          ),
          ...toldColumns(ends),
        ]
      : []),
  ])
  const [{ ended, details } = { ended: [], details: {} }] = rows
  const ids = ended ?? ends.map(({ ended: { run } }) => run.id)
  return new Map(ids.map((id) => [id, details[id] ?? null]))
}

const writeEndsSql = (isTelling: boolean) => `
  with start as materialized (
    select "id", "name", "startedAt", "createdAt" from "JobStart"
    where "id" = any(array(select distinct unnest($3::uuid[]))) and "workerId" = $1
    order by "id" for key share
  ), ended as (
    insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "queueJobId",
                          "workerId", "createdAt"${isTelling ? ', "label", "shown", "logs", "result"' : ''})
    select "end".id, start."name", 'success', 'queue', 1, start."startedAt", "end".at, "end".details::jsonb, "end".id,
           $1, start."createdAt"${isTelling ? `, "end".label, "end".shown::jsonb, "end".logs::jsonb, "end".result::jsonb` : ''}
    from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[]${isTelling ? ', $8::text[], $9::text[], $10::text[], $11::text[]' : ''})
        as "end"(id, "startId", at, details${isTelling ? ', label, shown, logs, result' : ''})
      join start on start."id" = "end"."startId"
    on conflict ("id") do nothing
    returning "id", "details"
  ), let_go as (
    delete from "JobStart" where "id" = any($6::uuid[])
  )
  select case when count(*) <> $7::int then coalesce(array_agg("id"::text), '{}') end as "ended",
         coalesce(jsonb_object_agg("id", "details") filter (where "details" is not null), '{}') as "details"
  from ended`

const WRITE_ENDS_SQL = writeEndsSql(false)
/** Most have no label, have logged nothing and have no result: then none of that is asked for. */
const WRITE_TELLING_ENDS_SQL = writeEndsSql(true)
