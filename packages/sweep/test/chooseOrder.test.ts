// Not quick: fills large tables.
import { describe, expect, it } from 'vitest'
import { chooseOrder } from '../src/chooseOrder.ts'
import { firstLook } from '../src/firstLook.ts'
import { NOW, openEntries, target } from './openEntries.ts'

describe('chooseOrder', () => {
  const entries = openEntries()

  const choose = async () =>
    (
      await entries.prisma.$transaction(async (tx) =>
        chooseOrder(tx, target, await firstLook(tx, target)),
      )
    ).kind
  /** Inserts entries. `isDue` is a condition that says which are due. */
  const insert = (count: number, isDue: string) =>
    entries.insert(count, `now + interval '1 hour' * case when ${isDue} then -1 else 1 end`)

  it('goes by the index where nothing or little is due', async () => {
    await insert(40_000, 'false')
    expect(await choose()).toBe('index')
    await entries.prisma.$executeRaw`truncate "I18nCacheEntry"`
    await insert(40_000, 'number % 100 = 0')
    expect(await choose()).toBe('index')
  })

  it('goes by the index in a small table, whatever is due', async () => {
    expect(await choose()).toBe('index')
    await insert(5_000, 'true')
    expect(await choose()).toBe('index')
  })

  it('goes by a part of the pages where the little that is due lies together', async () => {
    await insert(60_000, 'number between 20001 and 23000')
    const [lies] = await entries.prisma.$queryRaw<{ first: number; last: number }[]>`
      select min((ctid::text::point)[0]) as first, max((ctid::text::point)[0]) as last
      from "I18nCacheEntry" where "createdAt" < ${NOW.toISOString()}::timestamptz`

    const chosen = await entries.prisma.$transaction(async (tx) =>
      chooseOrder(tx, target, await firstLook(tx, target)),
    )

    expect(chosen).toMatchObject({ kind: 'pages', first: lies!.first, stop: lies!.last + 1 })
  })

  it('goes by the pages where much is due, whether it lies scattered or together', async () => {
    await insert(40_000, 'number % 2 = 0')
    expect(await choose()).toBe('pages')
    await entries.prisma.$executeRaw`truncate "I18nCacheEntry"`
    await insert(40_000, 'number > 30000')
    expect(await choose()).toBe('pages')
  })

  it('needs no statistics, and is not misled by those of a table that has grown', async () => {
    await insert(40_000, 'false')
    await entries.prisma.$executeRaw`analyze "I18nCacheEntry"`
    await entries.prisma.$executeRawUnsafe(`update "I18nCacheEntry" set "createdAt" = '2000-01-01'`)
    expect(await choose()).toBe('pages')
  })

  it('goes by the pages while an index is full of rows that are gone', async () => {
    await entries.prisma.$executeRaw`alter table "I18nCacheEntry" set (autovacuum_enabled = false)`
    await insert(40_000, 'number % 2 = 0')
    await entries.prisma.$executeRaw`
      delete from "I18nCacheEntry" where "createdAt" < ${NOW.toISOString()}::timestamptz`
    await entries.prisma.$executeRaw`select pg_stat_force_next_flush()::text`
    await expect.poll(choose).toBe('pages')
    await entries.prisma.$executeRaw`vacuum "I18nCacheEntry"`
    await expect.poll(choose).toBe('index')
  })
})
