import { checkImportOptions, refuseQueue } from '../arguments/importPgBoss.ts'
import { MAX_LEVELS } from '../values/storable.ts'
import { MAX_PAYLOAD_BYTES } from '../job/storablePayload.ts'
import type { Connection, Database } from '../database/database.ts'
import { MigrationRefusedError, withDatabase, type MigrateOptions } from './migrate.ts'
import { PLACE_SQL } from '../queue/place.ts'
import { MAX_INLINE_BYTES } from '../queue/queueTables.ts'
import { createSchema, type Schema } from '../database/schema.ts'
import { findTablesProblem } from './tablesState.ts'
import { tryUntilFree } from '../database/waitForLocks.ts'

/*
 * Imports the work of a product's pg-boss. Imported work leaves pg-boss's table in the transaction that inserts it into ours. A
 * later import takes work that was enqueued since.
 *
 *   created, retry   Waits again, with its id, in the order in which pg-boss would have fetched it.
 *   active           Stays: pg-boss has to end it, or to give it back.
 *   failed           Becomes a dead letter if requested; otherwise it stays.
 *   others           Are over, and stay.
 *
 * The rows are foreign values: any program may have written them.
 */

export interface ImportOptions extends MigrateOptions {
  /** The schema of pg-boss's tables. Default `pgboss`. */
  from?: string | undefined
  /** The names of all jobs. A queue with one of these names is imported. */
  jobs: readonly string[]
  /** The queues to import, each with the name of its job. Other queues stay. Default: those of `jobs`. */
  queues?: Readonly<Record<string, string>> | undefined
  /** Whether to import all queues, also those that are missing in `jobs`. Default false. */
  all?: boolean | undefined
  /** Whether failed work becomes dead letters. Default false. */
  deadLetters?: boolean | undefined
  /** Whether to count only. Default false. */
  dryRun?: boolean | undefined
}

/** Reasons why work stays. */
export type LeftReason =
  /** A worker has it, or had it when it died. */
  | 'active'
  /** It has failed, and dead letters were not requested, or it could not be imported. */
  | 'failed'
  /** Its queue was not selected. */
  | 'notChosen'
  /** It waits for other work, or other work waits for it. */
  | 'flow'
  /** The policy of its queue, which was not named. */
  | 'policy'
  /** It has a group, and its queue was not named. */
  | 'group'
  /** Its payload is too large or too deep, or its key is too long. */
  | 'unstorable'
  /** It has waited beyond its retention. */
  | 'expired'

export interface PgBossImport {
  /** The imported work, or that of a dry run, by queue. */
  taken: readonly TakenOver[]
  left: readonly LeftBehind[]
  /** Processes that work on the queues to import. If there are any, the import is refused. */
  workers: readonly PgBossWorker[]
  schedules: readonly { name: string; key: string; cron: string; timeZone: string | null }[]
  subscriptions: readonly { event: string; name: string }[]
}

export interface TakenOver {
  queue: string
  job: string
  work: number
  /** Pieces of it that are due later. */
  delayed: number
  /** Pieces that have lost their unique key to older work. */
  withoutKey: number
  deadLetters: number
}

export interface LeftBehind {
  queue: string
  reason: LeftReason
  count: number
  oldest: Date
  /** Some of the ids, the oldest first, if the reason concerns single pieces. */
  ids: readonly string[]
  /** The policy of the queue. */
  policy: string
  /** Queues whose failed work pg-boss copies into this one. */
  deadLettersOf: readonly string[]
}

export interface PgBossWorker {
  queue: string
  /** Its name, or its host, and the id of its process. */
  process: string
  lastSeen: Date
}

/** The version number of the tables of pg-boss 12.38. */
const TABLES_VERSION = 46

/**
 * Imports the waiting work of a product's pg-boss in the same database, in one transaction. A second call imports later work.
 * @throws ArgumentError for a queue that pg-boss does not have
 * @throws TablesError if Roundsman's tables are missing
 * @throws MigrationRefusedError while workers of pg-boss run, and for another version of it; nothing was changed
 */
export async function importPgBoss(options: ImportOptions): Promise<PgBossImport> {
  const { from = 'pgboss', databaseUrl, schema, log, ...what } = checkImportOptions(options)
  const pool = { applicationName: 'roundsman import', poolSize: 1, statementTimeoutMs: null }
  return await withDatabase({ databaseUrl, schema, log }, pool, (database) =>
    importInto(database, createSchema(from), what),
  )
}

async function importInto(
  database: Database,
  from: Schema,
  {
    jobs,
    queues,
    all = false,
    deadLetters = false,
    dryRun = false,
  }: Omit<ReturnType<typeof checkImportOptions>, 'from' | keyof MigrateOptions>,
): Promise<PgBossImport> {
  const problem = await findTablesProblem(database)
  if (problem !== null) throw problem
  await checkVersion(database, from)
  const ask = async <Row extends object>(
    connection: Connection,
    text: string,
    values: readonly unknown[] = [],
  ) => {
    const foreignText = database.schema.sql(text).replaceAll('pgboss.', () => `${from.quoted}.`)
    return (await connection.query<Row & Record<string, unknown>>({ foreignText }, values)).rows
  }

  const found = (await ask<{ name: string }>(database, QUEUES_SQL)).map(({ name }) => name)
  const chosen =
    queues === undefined
      ? found.filter((name) => all || jobs.includes(name)).map((name) => [name, name] as const)
      : Object.entries(queues)
  const missing = chosen.find(([queue]) => !found.includes(queue))
  if (missing !== undefined) throw refuseQueue(missing[0])
  const targets = [chosen.map(([queue]) => queue), chosen.map(([, job]) => job)]
  const values = [...targets, queues !== undefined, deadLetters]

  const workers = await ask<PgBossWorker>(database, WORKERS_SQL, [targets[0]])
  if (workers.length > 0 && !dryRun) throw new MigrationRefusedError(describeWorkers(workers))
  const moved = dryRun
    ? []
    : await tryUntilFree(() =>
        database.transaction(async (tx) => {
          await tx.query(`select pg_advisory_xact_lock(hashtextextended('roundsman import', 0))`)
          return await ask<TakenOver>(tx, MOVE_SQL, values)
        }),
      )
  const counted = await ask<LeftBehind & TakenOver>(database, COUNT_SQL, values)
  return {
    taken: dryRun ? counted.filter(hasWork).map(toTaken) : moved.map(toTaken),
    left: counted.filter(({ reason }) => reason !== null).map(toLeft),
    workers,
    schedules: await ask(database, SCHEDULES_SQL),
    subscriptions: await ask(database, SUBSCRIPTIONS_SQL),
  }
}

/** @throws MigrationRefusedError */
async function checkVersion(database: Database, from: Schema): Promise<void> {
  const { rows } = await database.query<{ isThere: boolean }>(
    { foreignText: `select to_regclass($1) is not null as "isThere"` },
    [`${from.quoted}.version`],
  )
  const where = `in the schema ${from.name} of this database`
  if (!rows[0]?.isThere)
    throw new MigrationRefusedError(
      `There is no pg-boss ${where}. Name its schema with --schema; it has to be in the same database`,
    )
  const foreignText = `select max(version) as "version" from ${from.quoted}.version`
  const version = (await database.query<{ version: number }>({ foreignText })).rows[0]?.version ?? 0
  if (version === TABLES_VERSION) return
  const told = `pg-boss's tables ${where} have its version ${version}, and the import knows version ${TABLES_VERSION}, of pg-boss 12.38`
  throw new MigrationRefusedError(
    version < TABLES_VERSION
      ? `${told}. Update pg-boss to 12.38 in your product and start it once, then import`
      : `${told}. Update Roundsman, or let the workers of pg-boss run until nothing waits`,
  )
}

function describeWorkers(workers: readonly PgBossWorker[]): string {
  const named = workers.map(({ queue, process }) => `${process} works on ${queue}`).join(', ')
  return `Workers of pg-boss still run: ${named}. Stop them, then import; one that was killed seems to run for another minute and a half`
}

const hasWork = ({ work, deadLetters }: TakenOver): boolean => work + deadLetters > 0

function toTaken({ queue, job, work, delayed, withoutKey, deadLetters }: TakenOver): TakenOver {
  return { queue, job, work, delayed, withoutKey, deadLetters }
}

function toLeft(row: LeftBehind): LeftBehind {
  const { queue, reason, count, oldest, ids, policy, deadLettersOf } = row
  return { queue, reason, count, oldest, ids, policy, deadLettersOf }
}

/** pg-boss's internal queues have no work of the product. */
const isOwn = (name: string) => `starts_with(${name}, '__pgboss__')`

const QUEUES_SQL = `select name from pgboss.queue where not ${isOwn('name')} order by name`

const SCHEDULES_SQL = `
  select name, key, cron, timezone as "timeZone" from pgboss.schedule order by name, key`

const SUBSCRIPTIONS_SQL = `select event, name from pgboss.subscription order by event, name`

/** pg-boss's own test for a living process. */
const WORKERS_SQL = `
  select distinct worker ->> 'queue' as "queue", format('%s (pid %s)', coalesce(instance.name, host), pid) as "process",
         heartbeat_on as "lastSeen"
  from pgboss.instance instance cross join jsonb_array_elements(workers) worker
  where stopped_on is null and heartbeat_on >= now() - heartbeat_seconds * 3 * interval '1 second'
    and worker ->> 'queue' = any($1::text[])
  order by 1, 2`

/** The maximum length of a unique key for `enqueue`. */
const MAX_KEY_LENGTH = 255

/** Shorter texts cannot have so many levels. */
const IS_STORABLE = `
      octet_length(job.data::text) <= ${MAX_PAYLOAD_BYTES} and (
        octet_length(job.data::text) < 2 * ${MAX_LEVELS}
        or not jsonb_path_exists(job.data, 'strict $.**{${MAX_LEVELS}} ? (@.type() == "object" || @.type() == "array")')
      )`

/** The reason that keeps work from being imported in any state. Null if there is none. */
const HINDRANCE = `case
      when target.job is null then 'notChosen'
      when job.blocked or job.blocking then 'flow'
      when not $3::boolean and queue.policy <> 'standard' then 'policy'
      when not $3::boolean and job.group_id is not null then 'group'
      when not coalesce(${IS_STORABLE}, true) or length(job.singleton_key) > ${MAX_KEY_LENGTH} then 'unstorable'
      when job.state < 'active' and job.keep_until < now() then 'expired'
    end`

/** Null if it is imported. */
const REASON = `case
    when job.state = 'active' then 'active'
    when job.state < 'active' then ${HINDRANCE}
    when not $4::boolean or ${HINDRANCE} is not null then 'failed'
  end`

const KEY = `nullif(job.singleton_key, '')`

const IS_OPEN = `job.state in ('created', 'retry', 'active', 'failed') and not ${isOwn('job.name')}`

const TARGETS = `unnest($1::text[], $2::text[]) target(queue, job)`

const IS_TAKEN_WORK = `"reason" is null and state < 'active'`

const COUNT_SQL = `
  select found.*, queue.policy,
         array(select name from pgboss.queue other where other.dead_letter = queue.name order by 1) as "deadLettersOf"
  from (
    select "queue", "job", "reason", count(*)::int as "count", min(created_on) as "oldest",
           count(*) filter (where ${IS_TAKEN_WORK})::int as "work",
           count(*) filter (where ${IS_TAKEN_WORK} and start_after > now())::int as "delayed",
           (count("key") filter (where ${IS_TAKEN_WORK})
             - count(distinct "key") filter (where ${IS_TAKEN_WORK} and not "isHeld"))::int as "withoutKey",
           count(*) filter (where "reason" is null and state = 'failed')::int as "deadLetters",
           coalesce((array_agg(id::text order by created_on, id) filter (where "reason" in ('unstorable', 'expired')))[1:3], '{}')
             as "ids"
    from (
      select job.id, job.state, job.created_on, job.start_after, job.name as "queue", target.job, ${REASON} as "reason",
             ${KEY} as "key", exists (select from "JobUnique" where "name" = target.job and "key" = ${KEY}) as "isHeld"
      from pgboss.job job join pgboss.queue queue on queue.name = job.name left join ${TARGETS} on target.queue = job.name
      where ${IS_OPEN}
    ) piece
    group by "queue", "job", "reason"
  ) found join pgboss.queue queue on queue.name = found."queue"
  order by "queue", "reason"`

/** Whether our tables have had work with this id: it may be sent to pg-boss again after it has left. */
const IS_KNOWN = `
      gone.id in (select id from "running")
      or exists (select from "JobWork" where "id" = gone.id) or exists (select from "JobDeadLetter" where "id" = gone.id)
      or exists (select from "JobRun" where "workId" = gone.id) or exists (select from "JobPayload" where "id" = gone.id)`

/** A finite instant in the range of JavaScript. */
const instant = (column: string) =>
  `greatest(least(${column}, '9999-12-31Z'::timestamptz), '0001-01-01Z'::timestamptz)`

const COLUMNS = `"id", "name", "rank", "attempt", "failures", "bytes", "uniqueKey", "enqueuedAt", "payload", "payloadId"`

const valuesOf = (key: string, attempt: string) => `
      "workId", "job", "rank", ${attempt}, "failures", "bytes", ${key}, "enqueuedAt",
      case when "bytes" <= ${MAX_INLINE_BYTES} then "payload" end, case when "bytes" > ${MAX_INLINE_BYTES} then "workId" end`

/**
 * Imports all work without a hindrance. It waits for locked rows, and checks them again after the lock. pg-boss counts a retry
 * when the work is fetched, so fetched work has failed once more than its count.
 * Race: packages/cli/test/import/importPgBoss.test.ts "beside imports, producers and fetches at once, takes each piece once"
 */
const MOVE_SQL = `
  with "running" as materialized (
    select held.id from "JobClaim" claim cross join unnest(claim."runIds" || claim."workIds") held(id) where held.id is not null
  ), gone as (
    delete from pgboss.job job using pgboss.queue queue join ${TARGETS} on target.queue = queue.name
    where queue.name = job.name and ${IS_OPEN} and ${REASON} is null
    returning job.*, target.job
  ), piece as materialized (
    select gone.*, octet_length("payload"::text) as "bytes",
           case when ${IS_KNOWN} or row_number() over (partition by gone.id order by gone.name) > 1
             then gen_random_uuid() else gone.id end as "workId",
           row_number() over (partition by "isLetter", "job", "key" order by created_on, gone.id) = 1 as "isFirst"
    from (
      select job.id, job.name, job.job, job.created_on, job.start_after, job.completed_on, job.output,
             job.state = 'failed' as "isLetter", ${KEY} as "key", -greatest(job.priority, -2147483647) as "rank",
             case when job.started_on is null then 0 else least(job.retry_count, 1000000) + 1 end as "failures",
             ${instant('job.created_on')} as "enqueuedAt", coalesce(nullif(job.data, 'null'), '{}') as "payload"
      from gone job
    ) gone
  ), taken as (
    insert into "JobUnique" ("name", "key", "workId")
    select "job", "key", "workId" from piece where not "isLetter" and "key" is not null and "isFirst" order by "job", "key"
    on conflict do nothing returning "workId"
  ), waiting as (
    insert into "JobWork" (${COLUMNS}, "place", "dueAt")
    select ${valuesOf(`case when "workId" in (select "workId" from taken) then "key" end`, '"failures" + 1')},
           case when start_after > now() then null else ${PLACE_SQL} end, ${instant('start_after')}
    from piece where not "isLetter" order by "rank", created_on, id
  ), letters as (
    insert into "JobDeadLetter" (${COLUMNS}, "failedAt", "errorCode", "errorMessage")
    select ${valuesOf('"key"', 'greatest("failures", 1)')}, ${instant('coalesce(completed_on, now())')},
           coalesce(nullif(left(output ->> 'code', 100), ''), 'handler_failed'),
           left(coalesce(output ->> 'message', output #>> '{value,message}', output ->> 'value', 'pg-boss has no error of it'), 1000)
    from piece where "isLetter"
  ), long as (
    insert into "JobPayload" ("id", "workId", "payload") select "workId", "workId", "payload" from piece where "bytes" > ${MAX_INLINE_BYTES}
  )
  select name as "queue", "job", count(*) filter (where not "isLetter")::int as "work",
         count(*) filter (where not "isLetter" and start_after > now())::int as "delayed",
         count(*) filter (where not "isLetter" and "key" is not null and "workId" not in (select "workId" from taken))::int
           as "withoutKey",
         count(*) filter (where "isLetter")::int as "deadLetters"
  from piece group by name, "job" order by name`
