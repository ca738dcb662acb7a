import type { Prisma } from '@roundsman/db'
import type { Transaction } from '../jobs/handler.ts'
import { quoted } from './quoted.ts'

/** How many rows meet the condition, counting no further than `limit`. */
export async function countRows(
  tx: Transaction,
  table: string,
  where: Prisma.Sql,
  limit: number,
): Promise<number> {
  const [counted] = await tx.$queryRaw<{ count: number }[]>`
    select count(*)::float8 as "count"
    from (select from ${quoted(table)} where ${where} limit ${limit}) met`
  return counted?.count ?? 0
}

/** The planner's guess, from the table's size now and how full its pages were last time somebody looked. */
export async function estimateRows(tx: Transaction, table: string): Promise<number> {
  const [plan] = await tx.$queryRaw<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }[]>`
    explain (format json) select from ${quoted(table)}`
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}
