import { MAX_PAYLOAD_BYTES } from '../job/storablePayload.ts'
import { aliveSql } from '../liveness/whoIsLost.ts'
import type { PreparedStatement } from './database.ts'
import { instantOf, labelOf, shownOf } from './envelopeSql.ts'
import { GIVES_WAY } from './giveWay.ts'
import { isPausedSql } from './queueSql.ts'
import { isDelayedSql, MAY_START, retries } from './starts.ts'

/*
 * The statement by which a worker takes work. Its steps, each a CTE:
 *
 *   alive      Whether others can see that the worker lives. If not, the steps below find nothing.
 *   wanted     The requests, but for jobs whose queue is paused.
 *   found      The work to take, locked, and what lies beyond the bytes that a claim may bring. `isStart`: its run may stay unwritten until it ends (starts.ts),
 *   next       and is not written already.
 *     Work whose run is written at once:
 *   taken      It becomes active in the queue.
 *   expired    Earlier attempts at the same work that still count as running end as failed.
 *   freed      The exclusive claims of those go.
 *   recorded   Each piece gets a row in JobRun,
 *   claimed    and each request a row in JobClaim, which holds its runs.
 *     Work whose run stays unwritten:
 *   started    It leaves the queue.
 *   start      Each request gets a row in JobStart, which holds runs and envelopes.
 *
 * Its parameters. Those of the first line are arrays with an element for each request:
 *   $1 names of jobs   $2 limits   $3 exclusive keys   $4 ids of the claims   $9 seconds until the attempt expires   $10 mayStart
 *   $5 the instant at which the runs start   $6 the worker's id   $7 hasFreshRunIds   $8 details of runs that have expired
 *
 * It does what pg-boss's fetch does, but always by an index. pg-boss's own joins the table with what it found, and
 * PostgreSQL then reads the whole table at every batch as soon as a batch is more than a few per cent of it.
 */

/**
 * Whether nobody has locked a run of the same work that still counts as running, such as a transaction that its handler left
 * open: the step "expired" would wait for it, and with it all that the claim is for.
 */
const earlierRuns = (lock = '') => `
          select earlier."id" from "JobRun" earlier
          where earlier."workId" = job.id and earlier."status" = 'running' ${lock}`
const IS_EARLIER_FREE = `not exists (select from (${earlierRuns()}) running where running."id" not in (${earlierRuns('for update skip locked')}))`

/** What one claim brings, so that a worker can hold it beside what it runs: after so many bytes it takes no more. */
export const MAX_CLAIM_BYTES = 16 * 2 ** 20
/** PostgreSQL does not tell how long a compressed value is without reading it. It compresses to about a hundredth at best. */
const MAX_COMPRESSION = 100

/** How many bytes the envelope of `job` may have, without reading it. Others may have sent a row without one. */
const bytesSql = (job: string) => `
  case when pg_column_compression(${job}.data) is null then coalesce(pg_column_size(${job}.data), 0)
    else greatest(pg_column_size(${job}.data), least(${MAX_COMPRESSION} * pg_column_size(${job}.data)::bigint, ${MAX_PAYLOAD_BYTES})::int)
  end`

/** The work to take, for each request its own. Of two claims at the same moment, the later passes over what is locked. */
const FOUND = `
    select one.id, one.name, one."isStart", one."bytesBefore" >= ${MAX_CLAIM_BYTES} / cardinality($1::text[]) as "isBeyond"
    from wanted cross join lateral (select found.*,
      -- In the order in which they were found. The first is always taken.
      sum(found.bytes) over (rows unbounded preceding) - found.bytes as "bytesBefore" from (
      select job.id, job.name, wanted."mayStart" and ${MAY_START} as "isStart", ${bytesSql('job')} as bytes
      from pgboss.job job
      where job.name = wanted.name and job.state < 'active' and not job.blocked and job.start_after <= now()
        -- Nothing while another run of an exclusive job is under way. An earlier run of the same work does not count: it
        -- has expired, and the step "expired" ends it.
        and (wanted."exclusiveKey" is null or job.data -> 'dryRun' = 'true' or not exists (
          select from "JobClaim" other left join "JobRun" run on run."id" = other."runIds"[1]
          where other."exclusiveKey" = wanted."exclusiveKey"
            and (run."workId" is distinct from job.id or run."status" <> 'running')
        ))
        and (job.started_on is null or ${IS_EARLIER_FREE})
      order by job.priority desc, job.created_on
      limit wanted."limit"
      for update skip locked
    ) found) one`

/**
 * Work whose run is written already may not start unwritten. All are looked up together: a plan made while JobRun is empty
 * reads it from end to end, and would do so for each piece of work while other runs are being written.
 */
const NEXT = `
    select found.id, found.name, found."isStart" and found.id <> all(written.ids) as "isStart"
    from found cross join (
      select array(
        select run."id" from "JobRun" run where run."id" = any(array(select found.id from found where found."isStart"))
      ) as ids
    ) written
    where not found."isBeyond"`

/** All triggers of work but `queue`. */
const OTHER_TRIGGERS = `'schedule', 'manual', 'cli'`

/**
 * The run of a first attempt has the id of its work, which sorts by time and need not be made.
 * `isNext` is a condition on `job`.
 */
const takeSql = (isNext: string) => `
    update pgboss.job job
    set state = 'active', started_on = now(), heartbeat_on = now(),
        retry_count = retry_count + case when started_on is null then 0 else 1 end,
        -- How long the attempt may take as this worker knows the job, not as whoever enqueued the work knew it.
        expire_seconds = coalesce((select wanted."expireSeconds" from wanted where wanted.name = job.name), expire_seconds),
        -- Work of a program becomes a dead letter when it is given up. 0 keeps it for ever, even where pg-boss gives it up
        -- by itself. Of work with other triggers, whoever ends the attempt decides.
        deletion_seconds = case when job.data ->> 'trigger' in (${OTHER_TRIGGERS}) then deletion_seconds else 0 end,
        -- A row without an envelope was sent by pg-boss itself: it is taken as a payload, which the job's schema judges.
        data = case when job.data ->> 'trigger' in ('queue', ${OTHER_TRIGGERS}) then job.data
               else jsonb_build_object('trigger', 'queue', 'payload', coalesce(job.data, '{}')) end
    where ${isNext}
    returning job.id, job.name, job.data, job.retry_count, job.created_on, job.start_after, greatest(0, job.retry_limit - job.retry_count) as "retriesLeft",
              ${bytesSql('job')} as bytes,
              case when job.retry_count = 0 and not $7::bool then job.id else gen_random_uuid() end as "runId"`

/**
 * The queue gave the work out again because the earlier attempt exceeded every limit. That attempt must commit nothing more,
 * and may hold the exclusive key that the new one needs.
 */
const END_EARLIER_ATTEMPTS = `
    update "JobRun" run
    set "status" = 'failed', "endedAt" = greatest(run."startedAt", $5), "errorCode" = 'expired',
        "details" = coalesce(run."details", '{}') || $8::jsonb
    where run."status" = 'running' and run."id" = any(array(
      select earlier."id" from taken join "JobRun" earlier on earlier."workId" = taken.id
      where taken.retry_count > 0
    ))
    returning run."id", run."name", run."attempt", run."dryRun", run."startedAt"`

const FREE_KEYS = `
    delete from "JobClaim" claim
    where claim."exclusiveKey" is not null and claim."runIds" && array(select "id" from expired)
    returning claim."id"`

/** An envelope may hold anything, and must not fail the claim: what cannot be cast counts as absent. */
const RECORD_RUNS = `
    insert into "JobRun" ("id", "name", "trigger", "attempt", "scheduledFor", "startedAt", "dryRun", "actor", "reason",
                          "workId", "workerId", "label", "shown", "dueAt")
    select taken."runId", taken.name, (taken.data ->> 'trigger')::"JobTrigger",
           taken.retry_count + 1,
           ${instantOf('taken.data', 'scheduledFor')}, $5,
           coalesce(taken.data -> 'dryRun' = 'true', false), taken.data ->> 'actor', taken.data ->> 'reason', taken.id, $6,
           ${labelOf('taken.data')}, ${shownOf('taken.data')},
           case when taken.retry_count > 0 or ${isDelayedSql('taken')} then taken.start_after end
    from taken
    returning "id", "name", "dryRun"`

const CLAIM_RUNS = `
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
    select wanted."claimId", wanted.name, $6,
           -- Dry runs go on beside the job's real run.
           case when not bool_or(recorded."dryRun") then wanted."exclusiveKey" end, array_agg(recorded."id")
    from recorded join wanted on wanted.name = recorded."name"
    -- Always true. It makes PostgreSQL carry out "freed" first, which frees the key.
    where (select count(*) from freed) >= 0
    group by wanted."claimId", wanted.name, wanted."exclusiveKey"
    -- All in the same order, so that two claims that meet at two keys do not wait for each other.
    order by wanted."exclusiveKey"`

/** What a start holds is enough to make the row again (writeOutSql in starts.ts). */
const takeOutSql = (isNext: string) => `
    delete from pgboss.job job
    where ${isNext}
    returning job.id, job.name, job.data, job.created_on, job.retry_limit`

const HOLD_STARTED = `
    insert into "JobStart" ("id", "name", "workerId", "startedAt", "expireSeconds", "retryLimit", "runIds", "envelopes",
                            "enqueuedAt")
    select wanted."claimId", wanted.name, $6, $5, wanted."expireSeconds", wanted."retryLimit", array_agg(started.id),
           array_agg(started.data), array_agg(started.created_on)
    from started join wanted on wanted.name = started.name
    group by wanted."claimId", wanted.name, wanted."expireSeconds", wanted."retryLimit"`

/** A row for each piece of work (`TakenRow`), or a row of nulls when the worker is not alive. */
const answerSql = (isOneJob: boolean) => `
  select id::text as "id", nullif("runId", id)::text as "runId", ${isOneJob ? '' : 'name,'} data as "envelope",
         retry_count + 1 as "attempt", "retriesLeft", true as "isWritten",
         (select jsonb_agg(expired) from expired) as "expired", bytes as "bytes",
         exists (select from found where found."isBeyond") as "isCut"
  from taken
  union all
  select id::text, null, ${isOneJob ? '' : 'name,'} data, 1, retry_limit, false, null, null,
         exists (select from found where found."isBeyond")
  from started
  union all
  select null, null, ${isOneJob ? '' : 'null,'} null, null, null, null, null, null, null from alive where not "isAlive"`

interface ClaimSql {
  /** Selects the requests as rows, from `alive`. `name` is the expression for the job of each. */
  requests: string
  name: string
  /** The condition on `job` that it is work with one of these ids, which `ids` selects from `next`. */
  isAmong: (ids: string) => string
  isOneJob: boolean
}

function claimSql({ requests, name, isAmong, isOneJob }: ClaimSql): string {
  const isWritten = isAmong('select id from next where "isStart" is not true')
  const isUnwritten = isAmong('select id from next group by id having bool_and("isStart")')
  return `
  with alive as materialized (${aliveSql('$6')}
  ), wanted as materialized (${requests} where alive."isAlive" and ${GIVES_WAY} and not ${isPausedSql(name)}
  ), found as materialized (${FOUND}
  ), next as materialized (${NEXT}
  ), taken as (${takeSql(isWritten)}
  ), expired as (${END_EARLIER_ATTEMPTS}
  ), freed as (${FREE_KEYS}
  ), recorded as (${RECORD_RUNS}
  ), claimed as (${CLAIM_RUNS}
  ), started as (${takeOutSql(isUnwritten)}
  ), start as (${HOLD_STARTED}
  )${answerSql(isOneJob)}`
}

/** Workers of older versions do not read JobStart: while one has a row, even one that was killed, claims write runs at once. */
const ALL_READ_STARTS = `not exists (select from "JobWorker" older where not older."readsStarts")`
/** The queue's retry settings: writing a run out restores its work with these, so work with others is no start. */
const retriesOfQueueSql = (name: string) => `
           (select queue.retry_limit from pgboss.queue queue where queue.name = ${name}) as "retryLimit",
           (select row(${retries('queue')}) from pgboss.queue queue where queue.name = ${name}) as "retries"`

const REQUESTS = `
    select wanted.name, wanted."limit", wanted."exclusiveKey", wanted."claimId", wanted."expireSeconds",
           wanted."mayStart" and ${ALL_READ_STARTS} as "mayStart", ${retriesOfQueueSql('wanted.name')}
    from alive cross join unnest($1::text[], $2::int[], $3::text[], $4::uuid[], $9::int[], $10::bool[])
      as wanted(name, "limit", "exclusiveKey", "claimId", "expireSeconds", "mayStart")`

const FIRST_NAME = '($1::text[])[1]'
const FIRST_REQUEST = `
    select ${FIRST_NAME} as name, ($2::int[])[1] as "limit", ($3::text[])[1] as "exclusiveKey",
           ($4::uuid[])[1] as "claimId", ($9::int[])[1] as "expireSeconds", ($10::bool[])[1] and ${ALL_READ_STARTS} as "mayStart",
           ${retriesOfQueueSql(FIRST_NAME)}
    from alive`
const isOfFirstJob = (ids: string) => `job.name = ${FIRST_NAME} and job.id = any(array(${ids}))`

/**
 * One request, whose work one claim may exhaust. For one row the general plan is as cheap as one for these values, so
 * PostgreSQL keeps it. Planning takes twice as long as taking a piece of work.
 */
export const CLAIM_FEW: PreparedStatement = {
  name: 'roundsman_claim_few',
  text: claimSql({
    requests: FIRST_REQUEST,
    name: FIRST_NAME,
    isAmong: isOfFirstJob,
    isOneJob: true,
  }),
}

/**
 * One request, of a job with a backlog. For rows from arrays PostgreSQL plans each time, by the queue's size at that moment.
 * A plan that it kept from an empty queue would read all of a full one.
 */
export const CLAIM_BACKLOG: PreparedStatement = {
  name: 'roundsman_claim_backlog',
  text: claimSql({
    requests: REQUESTS,
    name: 'wanted.name',
    isAmong: isOfFirstJob,
    isOneJob: true,
  }),
}

/**
 * Arrays, and the state as a text, keep PostgreSQL to the primary key. If two jobs have work of one id, the claim may take
 * either, but none twice.
 */
const isOfSomeJob = (
  ids: string,
) => `job.name = any(array(select distinct name from next)) and job.id = any(array(${ids}))
      and job.state::text in ('created', 'retry')`

/** Requests of several jobs. */
export const CLAIM_MANY: PreparedStatement = {
  name: 'roundsman_claim_many',
  text: claimSql({
    requests: REQUESTS,
    name: 'wanted.name',
    isAmong: isOfSomeJob,
    isOneJob: false,
  }),
}
