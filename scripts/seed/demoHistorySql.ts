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
  return Object.entries(TABLES).map(([part, table]) => {
    return insertStatement(table, history[part as keyof DemoHistory])
  })
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

/** Removes all that has one of the names `$1`, which no job of the product has, and the schedules of customers with a key like `$2`. */
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
]
  .map((table) => `delete from "${table}" where "name" = any($1::text[]) and $2::text is not null`)
  .concat(
    `delete from "JobRun" where $1::text[] is not null and "workId" in (select "workId" from "JobKeyedTick" where "key" like $2::text)`,
    ...['JobKeyedTick:key', 'JobKeyedSchedule:key', 'JobAction:scheduleKey'].map((of) => {
      const [table, column] = of.split(':')
      return `delete from "${table}" where $1::text[] is not null and "${column}" like $2::text`
    }),
  )
