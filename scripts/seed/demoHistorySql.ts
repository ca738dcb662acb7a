import type { DemoHistory } from './makeDemoHistory.ts'

const WORK = [
  'id',
  'name',
  'attempt',
  'failures',
  'bytes',
  'label',
  'enqueuedAt',
  'facts',
  'payload',
]

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
  // Without a place: a round of the first worker gives one to what is due.
  JobWork: [...WORK, 'dueAt', 'place'],
  JobDeadLetter: [...WORK, 'failedAt', 'errorCode', 'errorMessage'],
}

/** A statement for each table, whatever the number of rows; `rows` is its parameter. */
export function demoHistoryStatements(history: DemoHistory): [sql: string, rows: string][] {
  const { runs, ticks, actions, schedules, work, deadLetters } = history
  const statements: [string, readonly object[]][] = [
    [insertSql('JobRun'), runs],
    [insertSql('JobTick'), ticks],
    [ACTIONS_SQL, actions],
    [SCHEDULES_SQL, schedules],
    [insertSql('JobWork'), work],
    [insertSql('JobDeadLetter'), deadLetters],
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

/** Removes all that has one of these names, which no job of the product has. */
export const REMOVE_DEMO_JOBS_SQL: readonly string[] = [
  'JobRun',
  'JobTick',
  'JobSchedule',
  'JobAction',
  'JobThrottle',
  'JobClaim',
  'JobCancel',
  'JobWork',
  'JobDeadLetter',
  'JobUnique',
].map((table) => `delete from "${table}" where "name" = any($1::text[])`)
