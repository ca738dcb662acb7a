import { randomBytes } from 'node:crypto'
import type { Connection } from './database.ts'
import { newTablesSql } from './migrate.ts'
import { createSchema, type Schema } from './schema.ts'

/*
 * A test's time is a row, which `pgboss.job_now()` reads, as pg-boss's own statements do. createTestSchema() has our
 * statements ask it instead of now() and clock_timestamp(), which decide what is due and what time is recorded.
 *
 * statement_timestamp() stays real, for heartbeats and time-outs. Production's statements need no test option.
 */
const ASKS_TIME = /\b(?:now|clock_timestamp|transaction_timestamp)\(\)|\bcurrent_timestamp\b/gi

/** A schema whose statements go by the time of the test. See setTestTime. */
export function createTestSchema(name: string): Schema {
  const schema = createSchema(name)
  return {
    ...schema,
    // This runs for every statement, which is quick enough for tests; the inner sql() keeps its results.
    sql: (text) => schema.sql(text.replace(ASKS_TIME, 'pgboss.job_now()')),
    // pg-boss draws a random pause before a retry. Tests get the shortest, which is the one that the job's policy names.
    foreignSql: (text) => text.replace(/\brandom\(\)/g, '0'),
  }
}

/** Sets the clock of a test schema. */
export async function setTestTime(connection: Connection, now: Date): Promise<void> {
  await connection.query('update pgboss.roundsman_test_time set at = $1', [now])
}

/**
 * Creates the schema with its clock at `now`. Columns that record when a row was made follow that clock, and work that is
 * enqueued at one instant keeps its order by `created_on`. `workerId` counts as alive at whatever time the clock shows.
 */
export async function makeTestSchema(
  connection: Connection,
  { now, workerId }: { now: Date; workerId: string },
): Promise<void> {
  const { schema } = connection
  await connection.query({
    foreignText: `${newTablesSql(schema)}; ${schema.sql(ownTimeSql(now, workerId))}`,
  })
}

/** Gives a test schema a clock of its own, instead of PostgreSQL's. */
function ownTimeSql(now: Date, workerId: string): string {
  return `
  create table pgboss.roundsman_test_time (at timestamptz not null);
  insert into pgboss.roundsman_test_time values ('${now.toISOString()}');
  create or replace function pgboss.job_now() returns timestamptz language sql stable
    as $$ select at from pgboss.roundsman_test_time $$;

  create sequence pgboss.roundsman_test_order;
  create function pgboss.roundsman_keep_order() returns trigger language plpgsql as $$
    begin
      new.created_on := new.created_on + nextval('pgboss.roundsman_test_order') * interval '1 microsecond';
      return new;
    end
  $$;
  create trigger roundsman_keep_order before insert on pgboss.job for each row when (new.state = 'created')
    execute function pgboss.roundsman_keep_order();

  insert into "JobWorker" ("id", "liveness", "startedAt", "heartbeatAt", "lanes")
  values ('${workerId}', 'heartbeat', now(), '9999-01-01Z', '{}');`
}

/** The job, among those that `$1` names, whose work became due first. The claim then chooses the piece. */
export const FIND_NEXT_DUE_SQL = `
  select job.name from pgboss.job job
  where job.name = any($1) and job.state < 'active' and not job.blocked and job.start_after <= now()
  order by job.start_after, job.created_on limit 1`

/** The work of job `$1` that waits, in the order in which it becomes due. */
export const LIST_WAITING_SQL = `
  select job.id::text as "workId", job.data as "envelope", job.start_after as "startAfter", job.priority,
         job.singleton_key as "uniqueKey", job.retry_count + case when job.state = 'retry' then 2 else 1 end as "attempt"
  from pgboss.job job
  where job.name = $1 and job.state < 'active'
  order by job.start_after, job.priority desc, job.created_on limit $2`

/** Deletes all work, runs, claims, ticks, actions, throttles, schedules and paused queues. */
export const EMPTY_SQL = `
  delete from pgboss.job; delete from "JobRun"; delete from "JobClaim"; delete from "JobStart"; delete from "JobTick";
  delete from "JobAction"; delete from "JobThrottle"; delete from "JobSchedule"; delete from "JobQueue"`

const PREFIX = 'roundsman_test_'
/** Longer than any test file runs. */
const LEFT_BEHIND_S = 6 * 3_600

/** A name that no other test run in the database has. It contains the time, by which schemas left behind are recognised. */
export function newTestSchemaName(): string {
  return `${PREFIX}${nowInSeconds().toString(36)}_${randomBytes(6).toString('hex')}`
}

/** Drops a test schema with all that is in it. */
export async function dropTestSchema(connection: Connection, name: string): Promise<void> {
  await connection.query({ foreignText: `drop schema if exists "${name}" cascade` })
}

/** Drops the schemas of test processes that were killed. */
export async function dropTestSchemasLeftBehind(connection: Connection): Promise<void> {
  const { rows } = await connection.query<{ name: string }>(
    `select nspname as "name" from pg_namespace where starts_with(nspname, '${PREFIX}')`,
  )
  for (const { name } of rows) {
    const [, madeAt = ''] = /^[a-z]+_[a-z]+_([0-9a-z]+)_[0-9a-f]{12}$/.exec(name) ?? []
    // Another test run may drop the same schema at this moment.
    if (Number.parseInt(madeAt, 36) < nowInSeconds() - LEFT_BEHIND_S)
      await dropTestSchema(connection, name).catch(() => undefined)
  }
}

function nowInSeconds(): number {
  return Math.floor(Date.now() / 1_000)
}
