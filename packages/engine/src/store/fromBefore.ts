import { MAX_LABEL_LENGTH } from '../job/labelWork.ts'
import { isAliveSql } from '../liveness/whoIsLost.ts'
import { MAX_INLINE_BYTES } from './queueTables.ts'
import { PUBLIC, type Schema } from './schema.ts'
import { takeLocksSql } from './takeLocks.ts'

/*
 * From 0.2, whose queue is pg-boss's, to 0.3. One transaction: all of the queue is moved, or nothing is. Runs, the ledger,
 * schedules and actions stay where they are; their columns get new names. There is no way back after it.
 *
 *   created, retry   Waits again, with its unique key, in the same order.
 *   active           Its worker is gone, or migrate refuses. Its run ends as `worker_lost` and it waits again, or is a dead
 *                    letter again when somebody tried it by hand. The same for what JobStart has.
 *   failed           Moves when it is a dead letter, or a run that somebody may still approve.
 *   replaced         Other work has its unique key. It is dropped, with an action that says so.
 *   others           Over. They go with the table.
 *
 * Anybody may have written these rows: a value that does not fit counts as absent. What cannot be an envelope is a payload,
 * as for workers of 0.2.
 */

/** The last step of 0.2. Nothing older is moved: 0.2 migrates it. */
export const LAST_STEP_BEFORE = 'workerSchedules'

/** The version of pg-boss's tables in 0.2. */
const QUEUE_VERSION = 46

/** How 0.2 declares its queues: work may wait for ten years. pg-boss's own default is two weeks. */
const RETENTION_S = 10 * 365 * 86_400

/** SQL with the names of the schema; `pgboss.` stands for where 0.2 has its queue. */
function named(schema: Schema, text: string): string {
  const queue = schema.name === PUBLIC ? 'pgboss' : schema.quoted
  return schema.sql(text).replaceAll('pgboss.', () => `${queue}.`)
}

/** pg-boss's queues. Those that no job of ours declared belong to somebody else. */
const QUEUES = `
  select queue.name, queue.retry_limit as "retries",
         queue.retention_seconds = ${RETENTION_S} or exists (select from "JobSchedule" where "name" = queue.name)
           or exists (select from "JobRun" where "name" = queue.name) as "isOurs"
  from pgboss.queue queue where not starts_with(queue.name, '__pgboss__')`

/** What JobStart alone has of the runs that dead workers held. */
const STARTS = `
  select held."id", start."name", held."envelope", held."at", start."retryLimit" as "retries", start."startedAt",
         start."workerId", start."createdAt"
  from "JobStart" start cross join unnest(start."runIds", start."envelopes", start."enqueuedAt") as held("id", "envelope", "at")
  where not exists (select from "JobRun" run where run."id" = held."id")`

/** Runs of dead workers. */
const LOST = `
  select run."id", run."name", run."queueJobId" as "workId", run."attempt", run."trigger"::text as "trigger",
         coalesce(held."isAlone", false) as "isAlone"
  from "JobRun" run left join (
    select run."id", bool_or(claim."isAlone") as "isAlone" from "JobClaim" claim cross join unnest(claim."runIds") run("id") group by 1
  ) held on held."id" = run."id"
  where run."status" = 'running'
  union all
  select "id", "name", "id", 1, 'queue', false from "beforeStarts"`

const TRIGGERS = `'queue', 'schedule', 'manual', 'cli'`

const DAY_OF_YEAR =
  '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8])'
const LEAP_YEAR = '[1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00'
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d[.]\\d{3}'
/** What `toISOString` makes of the years 1000 to 9999, and PostgreSQL can cast. */
const INSTANT = `^([1-9]\\d{3}-(${DAY_OF_YEAR})|(${LEAP_YEAR})-02-29)T${TIME}Z$`

const count = (name: string) => `
  case when (job.data -> '${name}')::text ~ '^[0-9]{1,9}$' then (job.data ->> '${name}')::int else 0 end`

/** A finite instant that JavaScript has too. */
export const instant = (column: string) =>
  `greatest(least(${column}, '9999-12-31Z'::timestamptz), '0001-01-01Z'::timestamptz)`

const IS_DEAD_LETTER = `job.state = 'failed' and (
      job.data ->> 'trigger' = 'queue' or (
        job.data ->> 'trigger' = 'manual' and job.data -> 'dryRun' is distinct from 'true'
        and coalesce(job.output ->> 'code', '') not in ('cancelled', 'guard_blocked')
      )
    )`

/**
 * Each piece of work with what becomes of it: `kind` is work, letter, kept (a payload for an approval) or replaced. Two
 * pieces of one id are possible there, of different jobs: the second gets an id of its own.
 */
const MOVED = `
  select piece.*, octet_length(piece."payload"::text) as "bytes",
         case when row_number() over (partition by piece."workId" order by piece."kind" desc, piece."name") = 1
           then piece."workId" else gen_random_uuid() end as "id",
         case when piece."kind" = 'work' and not piece."isDelayed" then row_number() over (
           partition by piece."kind" = 'work' and not piece."isDelayed"
           order by piece."rank", piece."enqueuedAt", piece."workId"
         ) end as "place"
  from (
    select job.id as "workId", job.name as "name",
           case when job.data -> 'replacedBy' is not null then 'replaced'
             when ${IS_DEAD_LETTER} or (job.state = 'active' and lost."trigger" = 'cli') then 'letter'
             when job.state = 'failed' then 'kept' else 'work' end as "kind",
           -greatest(job.priority, -2147483647) as "rank",
           job.state <> 'active' and job.start_after > now() as "isDelayed",
           case when job.state = 'active' then now() else ${instant('job.start_after')} end as "dueAt",
           greatest(1, job.retry_count + case when job.state = 'failed' or job.started_on is null or (job.state = 'active' and lost."trigger" = 'cli') then 1 else 2 end)
             as "attempt",
           greatest(0, case when job.started_on is null then 0 when job.state = 'active' then job.retry_count else job.retry_count + 1 end
             - greatest(0, job.retry_limit - job.retries)) as "failures",
           ${count('lost')} + case when lost."id" is null then 0 else 1 end as "losses",
           ${count('lostAlone')} + case when lost."isAlone" then 1 else 0 end as "lossesAlone",
           job.singleton_key as "uniqueKey",
           case when jsonb_typeof(job.data -> 'label') = 'string' then left(job.data ->> 'label', ${MAX_LABEL_LENGTH}) end as "label",
           ${instant('job.created_on')} as "enqueuedAt",
           (
             select jsonb_object_agg(key, value) from jsonb_each(job.data) fact(key, value)
             where (key = 'trigger' and value <> '"queue"') or (key = 'dryRun' and value = 'true')
               or (key in ('actor', 'reason') and jsonb_typeof(value) = 'string')
               or (key in ('scheduledFor', 'approvedUntil', 'expiresAt') and value #>> '{}' ~ '${INSTANT}')
               or (key in ('approvedRows', 'attemptsBefore') and value::text ~ '^[0-9]{1,9}$')
               or (key in ('shown', 'trace') and jsonb_typeof(value) = 'object' and pg_column_size(value) <= 16384)
           ) as "facts",
           coalesce(job.data -> 'payload', '{}') as "payload",
           ${instant('coalesce(job.completed_on, now())')} as "failedAt",
           case when job.state = 'active' then 'worker_lost' else coalesce(left(job.output ->> 'code', 100), 'expired') end as "errorCode",
           case when job.state = 'active' then 'The worker that executed the run died'
             else coalesce(left(job.output ->> 'message', 1000), 'It was not settled in time') end as "errorMessage"
    from (
      select job.id, job.name, job.priority, job.state::text as state, job.start_after, job.created_on, job.started_on,
             job.completed_on, job.retry_count, job.retry_limit, queue."retries", job.singleton_key, job.output,
             case when jsonb_typeof(job.data) = 'object' and job.data ->> 'trigger' in (${TRIGGERS}) then job.data
               else jsonb_build_object('trigger', 'queue', 'payload', coalesce(job.data, '{}')) end as data
      from pgboss.job job join "beforeQueues" queue on queue.name = job.name and queue."isOurs"
      where job.state <= 'active' or job.state = 'failed'
      union all
      select "id", "name", 0, 'active', "at", "at", "startedAt", null, 0, "retries", "retries", null, null, "envelope"
      from "beforeStarts"
    ) job left join "beforeLost" lost
      on job.state = 'active' and lost."name" = job.name and lost."workId" = job.id and lost."attempt" = job.retry_count + 1
    where job.state <> 'failed' or ${IS_DEAD_LETTER}
      or (job.output ->> 'code' = 'guard_blocked' and job.completed_on > now() - interval '1 day')
  ) piece`

const READS = { beforeQueues: QUEUES, beforeStarts: STARTS, beforeLost: LOST, beforeMoved: MOVED }

/** What the move would do, in one row. It locks nothing. */
export const foreseeSql = (schema: Schema) =>
  named(
    schema,
    `
  with ${Object.entries(READS)
    .map(([name, sql]) => `"${name}" as materialized (${sql})`)
    .join(', ')}
  select count(*) filter (where "kind" = 'work' and not "isDelayed")::int as "ready",
         count(*) filter (where "kind" = 'work' and "isDelayed")::int as "delayed",
         count(*) filter (where "kind" = 'letter')::int as "deadLetters",
         count(*) filter (where "kind" = 'kept')::int as "kept",
         count(*) filter (where "kind" = 'replaced')::int as "replaced",
         (select count(*)::int from "beforeLost") as "lostRuns",
         coalesce(sum("bytes"), 0)::float8 as "payloadBytes",
         (select greatest(0, reltuples)::float8 from pg_class where oid = '"JobRun"'::regclass) as "runs",
         pg_relation_size('"JobRun"')::float8 as "runBytes",
         array(select name from "beforeQueues" where not "isOurs" order by 1) as "others"
  from "beforeMoved"`,
  )

/** The row of `foreseeSql`. */
export interface Foreseen {
  ready: number
  delayed: number
  deadLetters: number
  kept: number
  replaced: number
  lostRuns: number
  payloadBytes: number
  runs: number
  runBytes: number
  /** Queues of somebody else: pg-boss's tables stay for them. */
  others: string[]
}

/** Our own sessions, which only look or wait for their turn. */
const HARMLESS = `'roundsman check', 'roundsman migrate', 'roundsman migrate looks', 'roundsman migrations'`

/** At most these are named. */
const MAX_NAMED = 20

const REFUSE = `
  do $refuse$ declare
    found text;
  begin
    select string_agg(one, ', ') into found from (
      select format('worker %s', "id") as one from "JobWorker" worker where ${isAliveSql('worker."id"', 'worker')}
      union all
      select format('session %s of %s (%s)', pid, usename, application_name) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, 'roundsman')
        and application_name not in (${HARMLESS})
      order by one limit ${MAX_NAMED}
    ) named;
    if found is not null then
      raise exception using errcode = 'object_in_use',
        message = 'Processes of the version before still use this database: ' || found || '; stop them, then migrate';
    end if;
    if (select version from pgboss.version) is distinct from ${QUEUE_VERSION} then
      raise exception using errcode = 'object_not_in_prerequisite_state',
        message = 'The queue is not of the last version of Roundsman 0.2; migrate with that first';
    end if;
  end $refuse$`

/** A column that comes, goes or changes its name, without any row being written. */
const ALTER = `
  drop view if exists "JobRunAll";
  drop trigger if exists "JobWorker_readsStarts" on "JobWorker";
  drop function if exists roundsman."writeOutStarts"();
  delete from "JobWorker";
  alter table "JobWorker" drop column "readsStarts";
  drop table "JobStart", "JobClaim";
  alter table "JobRun" rename column "queueJobId" to "workId";
  alter table "JobRun" drop column "exclusiveKey", add column "uniqueKey" text, add column "parentId" uuid, add column "enqueuedBy" text,
    add column "traceId" text, add column "key" text, add column "payloadId" uuid;
  alter table "JobRun" reset (fillfactor);
  alter index roundsman."JobRun_queueJobId_idx" rename to "JobRun_workId_idx";
  alter table "JobTick" rename column "queueJobId" to "workId";
  alter table "JobAction" rename column "queueJobId" to "workId";
  alter table "JobAction" add column "scheduleKey" text collate "C";
  alter index roundsman."JobAction_queueJobId_idx" rename to "JobAction_workId_idx"`

/** Race: packages/engine/test/store/fromBefore.test.ts "keeps dead letters with long payloads, and what waits for an approval" */
const END_LOST = `
  update "JobRun" run
  set "status" = 'failed', "endedAt" = greatest(run."startedAt", now()), "errorCode" = 'worker_lost',
      "details" = case when jsonb_typeof(run."details") = 'object' then run."details" else '{}' end || ${lostDetails('run."workerId"')}
  from "beforeLost" lost where lost."id" = run."id" and run."status" = 'running';
  insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "errorCode", "details", "workId",
                        "workerId", "createdAt", "label")
  select start."id", start."name", 'failed', 'queue', 1, start."startedAt", greatest(start."startedAt", now()), 'worker_lost',
         ${lostDetails('start."workerId"')}, start."id", start."workerId", start."createdAt",
         case when jsonb_typeof(start."envelope" -> 'label') = 'string' then left(start."envelope" ->> 'label', ${MAX_LABEL_LENGTH}) end
  from "beforeStarts" start`

function lostDetails(workerId: string): string {
  return `jsonb_build_object('error', jsonb_build_object(
        'code', 'worker_lost', 'message', 'Worker ' || ${workerId} || ' died while it executed this run'))`
}

const COLUMNS = `"id", "name", "rank", "attempt", "failures", "losses", "lossesAlone", "bytes", "uniqueKey", "label", "enqueuedAt", "facts", "payload", "payloadId"`
const VALUES = `"id", "name", "rank", "attempt", "failures", "losses", "lossesAlone", "bytes", "uniqueKey", "label", "enqueuedAt", "facts",
         case when "bytes" <= ${MAX_INLINE_BYTES} then "payload" end, case when "bytes" > ${MAX_INLINE_BYTES} then "id" end`

/** Race: packages/engine/test/store/fromBefore.test.ts "keeps dead letters with long payloads, and what waits for an approval" */
const FILL = `
  insert into "JobWork" (${COLUMNS}, "place", "dueAt")
  select ${VALUES}, "place", "dueAt" from "beforeMoved" where "kind" = 'work';
  select setval('roundsman."JobPlace"', greatest(1, max("place"))) from "beforeMoved";
  insert into "JobUnique" ("name", "key", "workId")
  select "name", "uniqueKey", "id" from "beforeMoved" where "kind" = 'work' and "uniqueKey" is not null;
  insert into "JobDeadLetter" (${COLUMNS}, "failedAt", "errorCode", "errorMessage")
  select ${VALUES}, "failedAt", "errorCode", "errorMessage" from "beforeMoved" where "kind" = 'letter';
  update "JobRun" run set "payloadId" = kept."id" from "beforeMoved" kept
  where kept."kind" = 'kept' and run."workId" = kept."id" and run."errorCode" = 'guard_blocked';
  insert into "JobPayload" ("id", "workId", "payload") select "id", "id", "payload" from "beforeMoved" where "kind" = 'kept' or ("kind" in ('work', 'letter') and "bytes" > ${MAX_INLINE_BYTES});
  insert into "JobAction" ("action", "name", "workId", "actor", "reason")
  select 'cancelWork', "name", "workId", 'roundsman', 'Not started again: newer work has taken its unique key'
  from "beforeMoved" where "kind" = 'replaced';
  analyze "JobWork", "JobUnique", "JobDeadLetter", "JobPayload"`

const TABLES_BEFORE = `pgboss.bam, pgboss.instance, pgboss.job, pgboss.job_dependency, pgboss.queue, pgboss.queue_stats, pgboss.schedule,
      pgboss.subscription, pgboss.version, pgboss.warning`
const FUNCTIONS_BEFORE = `pgboss.create_queue(text, jsonb), pgboss.delete_queue(text), pgboss.job_now(),
      pgboss.job_table_format(text, text), pgboss.job_table_run(text, text, text),
      pgboss.job_table_run_async(text, integer, text, text, text)`

/**
 * Removes pg-boss's tables, or our rows where others use them. In the place of the first two it leaves empty ones: a client of
 * 0.2 that had no connection open at this moment enqueues there, and is told why that fails.
 */
const LEAVE = `
  do $leave$ begin
    if exists (select from "beforeQueues" where not "isOurs") or exists (select from pgboss.schedule) then
      drop index if exists pgboss.roundsman_unique_keys, pgboss.roundsman_given_up, pgboss.roundsman_dead_letters;
      delete from pgboss.job where name in (select name from "beforeQueues" where "isOurs");
      delete from pgboss.queue where name in (select name from "beforeQueues" where "isOurs");
    else
      create table pgboss.roundsman_job (like pgboss.job);
      create table pgboss.roundsman_queue (like pgboss.queue);
      drop table ${TABLES_BEFORE};
      drop function ${FUNCTIONS_BEFORE};
      alter table pgboss.roundsman_job rename to job;
      alter table pgboss.roundsman_queue rename to queue;
      -- What 0.2 enqueues to replace names this index.
      create unique index roundsman_unique_keys on pgboss.job (name, singleton_key) where singleton_key is not null and state <= 'active';
      create function pgboss.roundsman_moved() returns trigger language plpgsql as $moved$ begin
        raise exception 'this database is Roundsman 0.3: deploy this process' using errcode = 'object_not_in_prerequisite_state';
      end $moved$;
      create trigger roundsman_moved before insert or update or delete on pgboss.job
        for each statement execute function pgboss.roundsman_moved();
    end if;
  end $leave$`

const DROP_EMPTIED = `begin
      drop schema pgboss;
    exception when dependent_objects_still_exist then
      raise warning 'the schema pgboss stays: something else is in it';
    end;`

/** Removes what the move has left where 0.2 looks, and the schema for it, unless something else is in it. */
export const removeLeftSql = (schema: Schema) =>
  named(
    schema,
    `do $$ begin
  if exists (select from pg_trigger where tgname = 'roundsman_moved' and tgrelid = to_regclass('pgboss.job')) then
    drop table pgboss.job, pgboss.queue;
    drop function pgboss.roundsman_moved();
    drop type pgboss.job_state;
    ${schema.name === PUBLIC ? DROP_EMPTIED : ''}
  end if;
end $$`,
  )

const LOCKED = [
  '"JobRunAll"',
  ...['Action', 'Claim', 'Run', 'Start', 'Tick', 'Worker'].map((table) => `"Job${table}"`),
  'pgboss.job',
  'pgboss.queue',
]

/** The statements of the move, for one transaction. `newTables` makes those of 0.3. It tries to take the locks `maxTries` times. */
export function moveSql(
  schema: Schema,
  { newTables, note, maxTries }: { newTables: string; note: string; maxTries: number },
): string[] {
  const temporary = Object.entries(READS).map(
    ([name, sql]) => `create temporary table "${name}" on commit drop as ${sql}`,
  )
  const parts = [
    takeLocksSql(LOCKED, maxTries),
    REFUSE,
    ...temporary,
    ALTER,
    newTables,
    END_LOST,
    FILL,
    LEAVE,
    'delete from "JobMigration"',
    note,
  ]
  return parts.map((part) => named(schema, part))
}
