import { RUNNING_RUNS } from '../liveness/whoIsLost.ts'
import { IS_DEAD_LETTER } from './deadLetterSql.ts'
import { IS_WORK_FREE } from './findLocked.ts'
import { GIVES_WAY } from './giveWay.ts'
import { SHORTEST_EXPIRY_S } from './expireSeconds.ts'

/**
 * Whether the queue still counts the attempt of `run` as under way: it has given the work neither up nor out again. The
 * state as a text keeps PostgreSQL to the primary key.
 */
export const IS_ATTEMPT_UNDER_WAY = `exists (
    select from pgboss.job job
    where job.name = run."name" and job.id = run."workId" and job.retry_count = run."attempt" - 1
      and job.state::text = 'active'
  )`

/** Keeps a round short, however many there are. */
const MAX_ENDED = 500

/**
 * Ends runs at `$1`, with the details `$2`, whose work the queue has given up or out again. It skips claims that are too
 * young for that, and locked runs, in a batch or being settled, or with a locked claim or work: the next look finds those.
 */
export const END_EXPIRED_RUNS_SQL = `
  with expired as (
    update "JobRun" run
    set "status" = 'failed', "endedAt" = greatest(run."startedAt", $1), "errorCode" = 'expired',
        "details" = coalesce(run."details", '{}') || $2::jsonb
    where run."status" = 'running' and run."id" = any(array(
      select run."id" from ${RUNNING_RUNS}
      where claim."createdAt" < now() - interval '${SHORTEST_EXPIRY_S} seconds' and run."workId" is not null
        and not ${IS_ATTEMPT_UNDER_WAY} and ${IS_WORK_FREE}
        and (claim."exclusiveKey" is null or (
          select true from "JobClaim" free where free."id" = claim."id" for update skip locked
        ))
        and ${GIVES_WAY}
      limit ${MAX_ENDED}
      for update of run skip locked
    ))
    returning run."id", run."name", run."attempt", run."dryRun", run."startedAt", run."workId", run."workerId"
  ), freed as (
    delete from "JobClaim" claim
    where claim."exclusiveKey" is not null and claim."runIds" && array(select "id" from expired)
  ), kept as (
    update pgboss.job job set deletion_seconds = 0 from expired
    where job.name = expired."name" and job.id = expired."workId" and ${IS_DEAD_LETTER}
      and job.deletion_seconds <> 0
  )
  select "id", "name", "attempt", "dryRun", "startedAt", "workerId" from expired`

/**
 * Ends the runs `$1` of dead workers at `$2`. It waits for nobody, neither for runs nor for their work: whoever has locked one
 * may want another of these, and would wait for us.
 */
export const END_LOST_RUNS_SQL = `
  update "JobRun" run
  set "status" = 'failed', "endedAt" = greatest(run."startedAt", $2), "errorCode" = $3::text,
      "details" = coalesce(run."details", '{}') || jsonb_build_object('error', jsonb_build_object(
        'code', $3::text, 'message', 'Worker ' || run."workerId" || ' died while it executed this run'
      ))
  where run."id" in (
    -- Its worker may have been stopped with the row locked, in the middle of a batch: not waited for.
    select run."id" from "JobRun" run
    where run."id" = any($1) and run."status" = 'running' and ${IS_WORK_FREE}
    for update skip locked
  )
  returning run."id"`

/**
 * Gives the work of a run back as if nobody had taken it, to be taken after `$4` milliseconds. `deleteRun` deletes the run
 * and must be able to return its columns; `letGo` changes the claim that holds it.
 */
export function giveBackSql(deleteRun: string, letGo: string): string {
  return `
  with gone as (
    ${deleteRun}
    returning "name", "workId", "attempt"
  ), held as (
    ${letGo} and exists (select from gone)
  )
  update pgboss.job job
  set state = 'retry', retry_count = job.retry_count - 1, start_after = now() + $4 * interval '1 millisecond'
  from gone
  where job.name = gone."name" and job.id = gone."workId" and job.retry_count = gone."attempt" - 1
    and job.state::text = 'active'`
}
