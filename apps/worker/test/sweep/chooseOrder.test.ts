import type { PrismaClient } from '@roundsman/db'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { oldEntries } from '../../src/jobs/cleanupI18nCache.ts'
import { chooseOrder } from '../../src/sweep/chooseOrder.ts'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

const NOW = new Date()
const target = oldEntries(NOW)

describe('chooseOrder', () => {
  let database: WorkerDatabase
  let prisma: PrismaClient

  beforeAll(async () => {
    database = await openWorkerDatabase()
    prisma = database.prisma
  })
  afterAll(() => database.close())
  beforeEach(() => prisma.$executeRaw`truncate "I18nCacheEntry"`)

  const choose = async () => (await prisma.$transaction((tx) => chooseOrder(tx, target))).kind
  /** Entries of which every so many-eth one is due, or, by a condition, others. */
  const insert = (count: number, isDue: string) =>
    prisma.$executeRawUnsafe(
      `insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
       select gen_random_uuid(), 'en', number::text, 'text',
              $1::timestamptz + case when ${isDue} then interval '-1 hour' else interval '1 hour' end
       from generate_series(1, $2::int) number`,
      NOW.toISOString(),
      count,
    )

  it('goes by the index where nothing or little is due', async () => {
    await insert(40_000, 'false')
    expect(await choose()).toBe('index')
    await prisma.$executeRaw`truncate "I18nCacheEntry"`
    await insert(40_000, 'number % 100 = 0')
    expect(await choose()).toBe('index')
  })

  it('goes by the index in a small table, whatever is due', async () => {
    expect(await choose()).toBe('index')
    await insert(5_000, 'true')
    expect(await choose()).toBe('index')
  })

  it('goes by the pages where much is due, whether it lies scattered or together', async () => {
    await insert(40_000, 'number % 2 = 0')
    expect(await choose()).toBe('pages')
    await prisma.$executeRaw`truncate "I18nCacheEntry"`
    await insert(40_000, 'number > 30000')
    expect(await choose()).toBe('pages')
  })

  it('needs no statistics, and is not misled by those of a table that has grown', async () => {
    await insert(40_000, 'false')
    await prisma.$executeRaw`analyze "I18nCacheEntry"`
    await prisma.$executeRawUnsafe(`update "I18nCacheEntry" set "createdAt" = '2000-01-01'`)
    expect(await choose()).toBe('pages')
  })

  it('goes by the pages while an index is full of rows that are gone', async () => {
    await prisma.$executeRaw`alter table "I18nCacheEntry" set (autovacuum_enabled = false)`
    await insert(40_000, 'number % 2 = 0')
    await prisma.$executeRaw`
      delete from "I18nCacheEntry" where "createdAt" < ${NOW.toISOString()}::timestamptz`
    await prisma.$executeRaw`select pg_stat_force_next_flush()::text`
    await expect.poll(choose).toBe('pages')
    await prisma.$executeRaw`vacuum "I18nCacheEntry"`
    await expect.poll(choose).toBe('index')
  })
})
