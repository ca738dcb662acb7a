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
    const rows: readonly object[] = history[part as keyof DemoHistory]
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
      .map((name) => `"${name}"`)
      .join(', ')
    const sql = `
      insert into "${table}" (${columns})
      select ${columns} from jsonb_populate_recordset(null::"${table}", $1::jsonb) on conflict do nothing`
    return [sql, JSON.stringify(rows)]
  })
}

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
