import { randomBytes } from 'node:crypto'
import type { Connection } from './database.ts'
import { newTablesSql } from './migrate.ts'
import { createSchema, type Schema } from './schema.ts'

/*
 * The time of a test. In production PostgreSQL tells it, and the engine asks in two ways: by now() and clock_timestamp()
 * for whatever decides what is due (ticks, work that waits, back-off, rate limits, approvals) or is recorded, and by
 * statement_timestamp() whether a process lives. In the schema of a test each statement is rewritten on its way, once:
 * what asks in the first way asks pgboss.job_now() instead, by which pg-boss's own statements ask, and that one reads a
 * row here. So production's statements stay what they are, nothing is due by another clock than the rest, a host's
 * transactions need no setting, and heartbeats and time-outs stay real.
 */
const ASKS_TIME = /\b(?:now|clock_timestamp|transaction_timestamp)\(\)|\bcurrent_timestamp\b/gi

/** The schema of a test, by whose time everything in it is due. */
export function createTestSchema(name: string): Schema {
  const schema = createSchema(name)
  return {
    ...schema,
    // It keeps what it was told of each text; to replace what asks the time is quick enough for tests.
    sql: (text) => schema.sql(text.replace(ASKS_TIME, 'pgboss.job_now()')),
    // pg-boss draws the pause before a retry. Here it is the shortest: what the job's policy says.
    foreignSql: (text) => text.replace(/\brandom\(\)/g, '0'),
  }
}

export async function setTestTime(connection: Connection, now: Date): Promise<void> {
  await connection.query('update pgboss.roundsman_test_time set at = $1', [now])
}

/**
 * Makes the schema, with its own time, at `now`: the columns of ours that say when a row was made follow it. Pieces of
 * work that are put into the queue at one instant stay in their order, which `created_on` tells. `workerId` lives whatever
 * the time is, without a connection that says so.
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

/** Of the jobs that `$1` names, the one whose work became due first. Which piece of it is taken is the claim's to say. */
export const FIND_NEXT_DUE_SQL = `
  select job.name from pgboss.job job
  where job.name = any($1) and job.state < 'active' and not job.blocked and job.start_after <= now()
  order by job.start_after, job.created_on limit 1`

/** What waits of job `$1`, in the order in which it becomes due. */
export const LIST_WAITING_SQL = `
  select job.id::text as "queueJobId", job.data as "envelope", job.start_after as "startAfter", job.priority,
         job.singleton_key as "uniqueKey", job.retry_count + case when job.state = 'retry' then 2 else 1 end as "attempt"
  from pgboss.job job
  where job.name = $1 and job.state < 'active'
  order by job.start_after, job.priority desc, job.created_on limit $2`

/** All that was enqueued, decided and recorded. */
export const EMPTY_SQL = `
  delete from pgboss.job; delete from "JobRun"; delete from "JobClaim"; delete from "JobStart"; delete from "JobTick";
  delete from "JobAction"; delete from "JobThrottle"; delete from "JobSchedule"; delete from "JobQueue"`

const PREFIX = 'roundsman_test_'
/** Longer than any file of tests takes. */
const LEFT_BEHIND_S = 6 * 3_600

/** Of its own, whoever else runs tests in the database. It says when it was made, so that what was left behind is known. */
export function newTestSchemaName(): string {
  return `${PREFIX}${nowInSeconds().toString(36)}_${randomBytes(6).toString('hex')}`
}

export async function dropTestSchema(connection: Connection, name: string): Promise<void> {
  await connection.query({ foreignText: `drop schema if exists "${name}" cascade` })
}

/** What killed processes have left. */
export async function dropTestSchemasLeftBehind(connection: Connection): Promise<void> {
  const { rows } = await connection.query<{ name: string }>(
    `select nspname as "name" from pg_namespace where starts_with(nspname, '${PREFIX}')`,
  )
  for (const { name } of rows) {
    const [, madeAt = ''] = /^[a-z]+_[a-z]+_([0-9a-z]+)_[0-9a-f]{12}$/.exec(name) ?? []
    // Of several that find it, one drops it.
    if (Number.parseInt(madeAt, 36) < nowInSeconds() - LEFT_BEHIND_S)
      await dropTestSchema(connection, name).catch(() => undefined)
  }
}

function nowInSeconds(): number {
  return Math.floor(Date.now() / 1_000)
}
