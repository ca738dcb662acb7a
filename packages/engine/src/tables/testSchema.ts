import { randomBytes } from 'node:crypto'
import type { Connection } from '../database/database.ts'
import { makeSchemaSql, newTablesSql } from './migrate.ts'
import { createSchema, type Schema } from '../database/schema.ts'

/*
 * A test's time is a row of its schema, which `"testNow"()` reads there. createTestSchema() has our statements ask it instead
 * of now() and clock_timestamp(), which decide what is due and what time is recorded.
 *
 * statement_timestamp() stays real, for heartbeats and time-outs. Production's statements need no test option.
 */
const ASKS_TIME = /\b(?:now|clock_timestamp|transaction_timestamp)\(\)|\bcurrent_timestamp\b/gi

/** The heartbeat of a test's worker, which holds no lock and lives at any time. */
const LIVES = '9999-01-01Z'

/** The question of isAliveSql, with the worker's id. */
const ASKS_LIFE = /not pg_try_advisory_xact_lock_shared\(hashtextextended\(([^(),]*), 0\)\)/g
const LIVES_OR_HOLDS_LOCK = '($& or roundsman."testLives"($1))'

/** A schema whose statements use the time of the test, and in which the test's worker lives. See setTestTime. */
export function createTestSchema(name: string): Schema {
  const schema = createSchema(name)
  return {
    ...schema,
    // This runs for every statement, which is quick enough for tests; the inner sql() keeps its results.
    sql: (text) =>
      schema.sql(
        text.replace(ASKS_TIME, 'roundsman."testNow"()').replace(ASKS_LIFE, LIVES_OR_HOLDS_LOCK),
      ),
  }
}

/** Sets the clock of a test schema. */
export async function setTestTime(connection: Connection, now: Date): Promise<void> {
  await connection.query('update roundsman."testTime" set at = $1', [now])
}

/**
 * Creates the schema with its clock at `now`, by which columns also record when a row was made. `workerId` has given a
 * sign at whatever time the clock shows.
 */
export async function makeTestSchema(
  connection: Connection,
  { now, workerId, jobs }: { now: Date; workerId: string; jobs: readonly string[] },
): Promise<void> {
  const { schema } = connection
  const clock = schema.sql(`
    create table roundsman."testTime" (at timestamptz not null);
    insert into roundsman."testTime" values ('${now.toISOString()}');
    create function roundsman."testNow"() returns timestamptz language sql stable
      as $$ select at from roundsman."testTime" $$`)
  const worker = schema.sql(`
    create function roundsman."testLives"(worker text) returns boolean language sql stable
      as $$ select exists (select from roundsman."JobWorker" where "id" = worker and "heartbeatAt" = '${LIVES}') $$;
    insert into "JobWorker" ("id", "startedAt", "heartbeatAt", "lanes", "jobs")
    values ('${workerId}', now(), '${LIVES}', '{}', '{${jobs.join(',')}}')`)
  await connection.query({
    foreignText: [makeSchemaSql(schema), clock, newTablesSql(schema), worker].join(';\n'),
  })
}

/** The job, among those that `$1` names, whose work became due first. The claim then chooses the piece. */
export const FIND_NEXT_DUE_SQL = `
  select "name" from "JobWork" where "name" = any($1) and "dueAt" <= now() order by "dueAt", "place" limit 1`

/** The work of job `$1` that waits, in the order in which it becomes due. */
export const LIST_WAITING_SQL = `
  select work."id"::text as "workId", coalesce(work."payload", long."payload") as "payload",
         coalesce(work."facts" ->> 'trigger', 'queue') as "trigger", work."facts" -> 'dryRun' = 'true' is true as "dryRun",
         work."dueAt" as "startAfter", -work."rank" as "priority", work."uniqueKey", work."attempt"
  from "JobWork" work left join "JobPayload" long on long."id" = work."payloadId"
  where work."name" = $1
  order by work."dueAt", work."rank", work."place", work."enqueuedAt", work."id" limit $2`

/** Deletes all work, runs, claims, ticks, actions, limits, throttles, schedules and paused queues. */
export const EMPTY_SQL = `${[
  'JobWork',
  'JobPayload',
  'JobUnique',
  'JobCancel',
  'JobDeadLetter',
  'JobClaim',
  'JobStep',
  'JobSignal',
  'JobChild',
  'JobRun',
  'JobTick',
  'JobAction',
  'JobLimit',
  'JobKey',
  'JobThrottle',
  'JobSchedule',
  'JobQueue',
]
  .map((table) => `delete from "${table}"`)
  .join('; ')}; alter sequence "JobKeyedVersion" restart`

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
