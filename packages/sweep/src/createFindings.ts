import type { Details } from '@roundsman/engine'
import { queryRows, type Transaction } from './transaction.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { quoted, sql, type Sql } from './sql.ts'

const SAMPLE_SIZE = 10

/** Collects the report of a dry run about the rows that it would change: the oldest and newest date, and up to ten ids. */
export function createFindings(target: SweepTarget) {
  let oldest: Date | null = null
  let newest: Date | null = null
  const sample: string[] = []

  return {
    async add(tx: Transaction, where: Sql): Promise<void> {
      const date = quoted(target.date)
      const table = quoted(target.table)
      const [found] = await queryRows<{ oldest: Date | null; newest: Date | null }>(
        tx,
        sql`
        select min(${date}) as "oldest", max(${date}) as "newest" from ${table} where ${where}`,
      )
      oldest = earliest(oldest, found?.oldest ?? null)
      newest = latest(newest, found?.newest ?? null)
      if (sample.length >= SAMPLE_SIZE) return
      const rows = await queryRows<{ id: string }>(
        tx,
        sql`
        select "id"::text from ${table} where ${where} limit ${SAMPLE_SIZE - sample.length}`,
      )
      sample.push(...rows.map(({ id }) => id))
    },
    details: (): Details => ({
      oldest: oldest?.toISOString() ?? null,
      newest: newest?.toISOString() ?? null,
      sample,
    }),
  }
}

function earliest(a: Date | null, b: Date | null): Date | null {
  return a === null || (b !== null && b < a) ? b : a
}

function latest(a: Date | null, b: Date | null): Date | null {
  return a === null || (b !== null && b > a) ? b : a
}
