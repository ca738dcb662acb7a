// Not quick: fills large tables.
import { describe, expect, it } from 'vitest'
import { firstLook } from '../src/firstLook.ts'
import { openEntries, target } from './openEntries.ts'

describe('firstLook', () => {
  const entries = openEntries()

  const look = () => entries.prisma.$transaction((tx) => firstLook(tx, target))
  /** Inserts entries. `isDue` is a condition that says which are due. */
  const insert = (count: number, isDue: string) =>
    entries.insert(count, `now + interval '1 hour' * case when ${isDue} then -1 else 1 end`)

  it('tells what an empty table is like', async () => {
    expect(await look()).toEqual({
      now: expect.any(Date),
      pages: 0,
      rowsPerPage: null,
      due: 0,
      isAll: true,
    })
  })

  it('tells how full pages are, once a vacuum has seen them', async () => {
    await insert(20_000, 'false')
    await entries.prisma.$executeRaw`vacuum analyze "I18nCacheEntry"`
    const { pages, rowsPerPage } = await look()
    expect(rowsPerPage).toBeCloseTo(20_000 / pages)
  })

  it('counts what is due where that is little, or the table small', async () => {
    await insert(9_000, 'true')
    expect(await look()).toMatchObject({ due: 9_000, isAll: true })
    await insert(60_000, 'number % 100 = 0')
    expect(await look()).toMatchObject({ due: 9_600, isAll: true })
  })

  it('says so where more is due than an index finds sooner, whether it lies scattered or together', async () => {
    await insert(40_000, 'number % 2 = 0')
    expect(await look()).toMatchObject({ due: 10_001, isAll: false })
    await entries.prisma.$executeRaw`truncate "I18nCacheEntry"`
    await insert(40_000, 'number > 20000')
    expect(await look()).toMatchObject({ due: 10_001, isAll: false })
  })

  it('counts further in a larger table', async () => {
    await insert(300_000, 'number % 25 = 0')
    expect(await look()).toMatchObject({ due: 12_000, isAll: true })
  })

  it('needs no statistics, and is not misled by those of a table that has grown', async () => {
    await insert(40_000, 'false')
    await entries.prisma.$executeRaw`analyze "I18nCacheEntry"`
    await entries.prisma.$executeRawUnsafe(`update "I18nCacheEntry" set "createdAt" = '2000-01-01'`)
    expect(await look()).toMatchObject({ isAll: false })
  })
})
