import { queryRows, type Transaction } from './transaction.ts'
import { quoted, sql, type Sql } from './sql.ts'

/** A limit keeps PostgreSQL from counting in parallel. Above this many rows, counting all of them in parallel is faster. */
const MAX_LIMIT = 100_000

/** Counts the rows that meet the condition. It stops at `limit` when that is at most 100,000, and else counts them all. */
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

/** The planner's estimate: the table's size now, times how full the last vacuum or analyze found its pages. */
export async function estimateRows(tx: Transaction, table: string): Promise<number> {
  const [plan] = await queryRows<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    tx,
    sql`
    explain (format json) select from ${quoted(table)}`,
  )
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}
