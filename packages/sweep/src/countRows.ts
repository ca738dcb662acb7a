import { queryRows, type Transaction } from './transaction.ts'
import { quoted, sql, type Sql } from './sql.ts'

/** A limit keeps PostgreSQL from counting with several processes, which beyond this takes longer than to go on. */
const MAX_LIMIT = 100_000

/** How many rows meet the condition. It counts no further than a small `limit`, and all where that is great. */
export async function countRows(
  tx: Transaction,
  table: string,
  where: Sql,
  limit = Infinity,
): Promise<number> {
  if (limit <= 0) return 0
  const isBounded = limit <= MAX_LIMIT
  const [counted] = await queryRows<{ count: number }>(
    tx,
    isBounded
      ? sql`
          select count(*)::float8 as "count"
          from (select from ${quoted(table)} where ${where} limit ${limit}) met`
      : sql`select count(*)::float8 as "count" from ${quoted(table)} where ${where}`,
  )
  return counted?.count ?? 0
}

/** The planner's guess, from the table's size now and how full its pages were last time somebody looked. */
export async function estimateRows(tx: Transaction, table: string): Promise<number> {
  const [plan] = await queryRows<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    tx,
    sql`
    explain (format json) select from ${quoted(table)}`,
  )
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}
