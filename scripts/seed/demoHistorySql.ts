import type { DemoHistory } from './makeDemoHistory.ts'

const TABLES: Readonly<Record<keyof DemoHistory, string>> = {
  runs: 'JobRun',
  ticks: 'JobTick',
  actions: 'JobAction',
  // A worker that follows these schedules goes on from the cursor.
  schedules: 'JobSchedule',
  work: 'JobWork',
  deadLetters: 'JobDeadLetter',
}

/** A statement for each table, whatever the number of rows; `rows` is its parameter. */
export function demoHistoryStatements(history: DemoHistory): [sql: string, rows: string][] {
  return Object.entries(TABLES).map(([part, table]) =>
    insertStatement(table, history[part as keyof DemoHistory]),
  )
}

/** Inserts rows that are named as the table's columns; `rows` is its parameter. */
export function insertStatement(
  table: string,
  rows: readonly object[],
): [sql: string, rows: string] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
    .map((name) => `"${name}"`)
    .join(', ')
  const sql = `
      insert into "${table}" (${columns})
      select ${columns} from jsonb_populate_recordset(null::"${table}", $1::jsonb) on conflict do nothing`
  return [sql, JSON.stringify(rows)]
}

/** What the keys of the demo's customers begin with. */
export const DEMO_KEY = 'demo-customer-'

const TABLES_BY_NAME = [
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
  'JobKey',
  'JobKeyThrottle',
]

/** Removes the schedules of the demo's customers, and what has come of them. */
const REMOVE_BY_KEY = [
  'delete from "JobRun" where "workId" in (select "workId" from "JobKeyedTick" where "key" like $1::text)',
  'delete from "JobKeyedTick" where "key" like $1::text',
  'delete from "JobKeyedSchedule" where "key" like $1::text',
  'delete from "JobAction" where "scheduleKey" like $1::text',
]

/** Removes the limits of the names, with those that only they share, and what waits under them. */
const REMOVE_LIMITS = [
  `delete from "JobPark" where "name" in (select "name" from "JobLimit" where "jobs" <@ $1::text[])
     or substring("name" from '^(?:job|rate):(.*)$') = any($1::text[])`,
  `delete from "JobLimit" where "jobs" <@ $1::text[] or substring("name" from '^(?:job|rate):(.*)$') = any($1::text[])`,
]

/** Removes all that has one of the names, which no job of the product has, and then the schedules of customers. */
export function removeDemoStatements(names: readonly string[]): [sql: string, of: unknown][] {
  return [
    ...TABLES_BY_NAME.map((table): [string, unknown] => [
      `delete from "${table}" where "name" = any($1::text[])`,
      names,
    ]),
    ...REMOVE_LIMITS.map((sql): [string, unknown] => [sql, names]),
    ...REMOVE_BY_KEY.map((sql): [string, unknown] => [sql, `${DEMO_KEY}%`]),
  ]
}
