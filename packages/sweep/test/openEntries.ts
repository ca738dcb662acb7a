import { createDatabaseClient, Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { SweepTarget } from '../src/sweepTarget.ts'

/** Entries of before are due. */
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
    cleaned: await tx.$executeRaw`delete from "I18nCacheEntry" where ${where}`,
  }),
}

/** For the suite that calls it: a database of its own, without entries at the beginning of each test. */
export function openEntries(): { readonly prisma: PrismaClient } {
  let prisma: PrismaClient
  let drop: () => Promise<void>
  beforeAll(async () => {
    const database = await createTestDatabase()
    drop = database.drop
    const { url } = database
    prisma = createDatabaseClient({ url, applicationName: 'tests', onPoolError: () => undefined })
  })
  afterAll(async () => {
    await prisma.$disconnect()
    await drop()
  })
  beforeEach(() => prisma.$executeRaw`truncate "I18nCacheEntry"`)
  return {
    get prisma() {
      return prisma
    },
  }
}
