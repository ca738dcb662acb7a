import { createDatabaseClient, Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { SweepTarget } from '../src/sweepTarget.ts'
import { sql } from '../src/sql.ts'
import { execute } from '../src/transaction.ts'

/** Entries from before this are due. */
export const NOW = new Date()
const due = Prisma.sql`"createdAt" < ${NOW.toISOString()}::timestamptz`
export const target: SweepTarget = {
  table: 'I18nCacheEntry',
  date: 'createdAt',
  cutoff: NOW,
  due,
  finders: [{ where: due, key: 'createdAt', keyType: 'timestamptz' }],
  nothing: { cleaned: 0 },
  change: async (tx, where) => ({
    cleaned: await execute(tx, sql`delete from "I18nCacheEntry" where ${where}`),
  }),
}

export interface Entries {
  readonly url: string
  readonly prisma: PrismaClient
  /** Inserts entries. `createdAt` is SQL with `number`, which counts from 1, and `now`. */
  insert(count: number, createdAt: string): Promise<number>
}

/** A database for the suite that calls this. Each test begins without entries. */
export function openEntries(): Entries {
  let prisma: PrismaClient
  let drop: () => Promise<void>
  let url: string
  beforeAll(async () => {
    const database = await createTestDatabase()
    drop = database.drop
    url = database.url
    prisma = createDatabaseClient({ url, applicationName: 'tests', onPoolError: () => undefined })
    await prisma.$executeRaw`create sequence "Entry"`
  })
  afterAll(async () => {
    await prisma.$disconnect()
    await drop()
  })
  beforeEach(() => prisma.$executeRaw`truncate "I18nCacheEntry"`)
  return {
    get url() {
      return url
    },
    get prisma() {
      return prisma
    },
    // In the order of their ids, none of them random: the indexes grow at their ends, which takes half of the time.
    insert: (count, createdAt) =>
      prisma.$executeRawUnsafe(
        `insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
         select lpad(to_hex(id), 32, '0')::uuid, 'en', lpad(id::text, 36, '0'), 'text', ${createdAt}
         from (select number, nextval('"Entry"') as id, $1::timestamptz as now from generate_series(1, $2::int) number) entry`,
        NOW.toISOString(),
        count,
      ),
  }
}
