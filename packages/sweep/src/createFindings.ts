import type { Prisma } from '@roundsman/db'
import type { Details } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import { quoted } from './quoted.ts'
import type { SweepTarget } from './sweepTarget.ts'

const SAMPLE_SIZE = 10

/** What a dry run says of the rows that it would change. */
export function createFindings(target: SweepTarget) {
  let oldest: Date | null = null
  let newest: Date | null = null
  const sample: string[] = []

  return {
    async add(tx: Transaction, where: Prisma.Sql): Promise<void> {
      const date = quoted(target.date)
      const table = quoted(target.table)
      const [found] = await tx.$queryRaw<{ oldest: Date | null; newest: Date | null }[]>`
        select min(${date}) as "oldest", max(${date}) as "newest" from ${table} where ${where}`
      oldest = earliest(oldest, found?.oldest ?? null)
      newest = latest(newest, found?.newest ?? null)
      if (sample.length >= SAMPLE_SIZE) return
      const rows = await tx.$queryRaw<{ id: string }[]>`
        select "id"::text from ${table} where ${where} limit ${SAMPLE_SIZE - sample.length}`
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
