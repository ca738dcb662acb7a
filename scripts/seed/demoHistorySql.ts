import type { DemoHistory } from './makeDemoHistory.ts'

/** The columns that a history fills, of the tables with many rows. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  JobRun: [
    'id',
    'name',
    'status',
    'trigger',
    'attempt',
    'scheduledFor',
    'startedAt',
    'endedAt',
    'details',
    'dryRun',
    'actor',
    'reason',
    'workId',
    'workerId',
    'errorCode',
    'progress',
    'batchMarks',
    'cancelRequestedAt',
    'cancelRequestedBy',
    'label',
    'shown',
    'dueAt',
    'logs',
    'createdAt',
  ],
  JobTick: [
    'name',
    'scheduledFor',
    'outcome',
    'reason',
    'workId',
    'count',
    'through',
    'workerId',
    'createdAt',
  ],
}

/** A statement for each table, whatever the number of rows; `rows` is its parameter. */
export function demoHistoryStatements(history: DemoHistory): [sql: string, rows: string][] {
  const { runs, ticks, actions, schedules, work } = history
  const statements: [string, readonly object[]][] = [
    [insertSql('JobRun'), runs],
    [insertSql('JobTick'), ticks],
    [ACTIONS_SQL, actions],
    [SCHEDULES_SQL, schedules],
    [WORK_SQL, work],
  ]
  return statements.map(([sql, rows]) => [sql, JSON.stringify(rows)])
}

function insertSql(table: string): string {
  const columns = (COLUMNS[table] ?? []).map((name) => `"${name}"`).join(', ')
  return `insert into "${table}" (${columns}) select ${columns} from jsonb_populate_recordset(null::"${table}", $1::jsonb)`
}

const ACTIONS_SQL = `
  insert into "JobAction" ("at", "action", "name", "runId", "workId", "actor", "reason")
  select "at", "action", "name", "runId", "workId", "actor", "reason"
  from jsonb_populate_recordset(null::"JobAction", $1::jsonb)`

/** A worker that follows these schedules goes on from the cursor. */
const SCHEDULES_SQL = `
  insert into "JobSchedule" ("name", "cron", "timeZone", "cursor")
  select "name", "cron", "timeZone", "cursor" from jsonb_populate_recordset(null::"JobSchedule", $1::jsonb)
  on conflict ("name") do nothing`

/**
 * Makes the rows as the queue would, with the settings of the work's queue. Work that was given up stays until somebody
 * acts.
 */
const WORK_SQL = `
  insert into pgboss.job (
    id, name, data, state, retry_count, start_after, created_on, started_on, completed_on, output, keep_until, expire_seconds,
    deletion_seconds, retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds
  )
  select work.id, queue.name, work.data, work.state::pgboss.job_state, work."retryCount", work."startAfter", work."createdOn",
    work."startedOn", work."completedOn", work.output, work."startAfter" + queue.retention_seconds * interval '1 second',
    queue.expire_seconds, case when work.state = 'failed' then 0 else queue.deletion_seconds end, queue.retry_limit,
    queue.retry_delay, queue.retry_backoff, queue.retry_delay_max, queue.policy, queue.dead_letter, queue.heartbeat_seconds
  from jsonb_to_recordset($1::jsonb) as work(
    id uuid, name text, data jsonb, state text, "retryCount" int, "startAfter" timestamptz, "createdOn" timestamptz,
    "startedOn" timestamptz, "completedOn" timestamptz, output jsonb
  ) join pgboss.queue queue on queue.name = work.name`

/** Removes all that has one of these names, which no job of the product has. */
export const REMOVE_DEMO_JOBS_SQL: readonly string[] = [
  ...['JobRun', 'JobTick', 'JobSchedule', 'JobAction', 'JobClaim', 'JobStart', 'JobThrottle'].map(
    (table) => `delete from "${table}" where "name" = any($1::text[])`,
  ),
  'delete from pgboss.job where name = any($1::text[])',
]
