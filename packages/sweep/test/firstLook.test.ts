import { describe, expect, it } from 'vitest'
import { firstLook } from '../src/firstLook.ts'
import { NOW, openEntries, target } from './openEntries.ts'

describe('firstLook', () => {
  const entries = openEntries()

  const look = () => entries.prisma.$transaction((tx) => firstLook(tx, target))
  const insert = (count: number, age: string) =>
    entries.insert(count, `now - interval '${age}' + number * interval '1 microsecond'`)

  it('tells what an empty table is like', async () => {
    expect(await look()).toEqual({
      now: expect.any(Date),
      pages: 0,
      dead: expect.any(Number),
      rowsPerPage: expect.any(Number),
      planned: null,
      hasAftermath: false,
      due: 0,
      isAll: true,
      firstPage: null,
      lastPage: null,
    })
  })

  it('counts what is due, and tells between which pages it lies', async () => {
    await insert(10_000, '-1 hour')
    await insert(3_000, '1 hour')
    await insert(10_000, '-1 hour')
    await entries.prisma.$executeRaw`vacuum analyze "I18nCacheEntry"`
    const [lies] = await entries.prisma.$queryRaw<{ first: number; last: number }[]>`
      select min((ctid::text::point)[0]) as first, max((ctid::text::point)[0]) as last
      from "I18nCacheEntry" where "createdAt" < ${NOW.toISOString()}::timestamptz`
    const { firstPage, lastPage, due, isAll, pages, planned, rowsPerPage } = await look()

    expect({ due, isAll, firstPage, lastPage }).toEqual({
      due: 3_000,
      isAll: true,
      firstPage: lies!.first,
      lastPage: lies!.last,
    })
    expect(rowsPerPage).toBeCloseTo(23_000 / pages)
    expect(planned).toBe(23_000)
  })

  it('says so where more is due than it counts', async () => {
    await insert(60_000, '1 hour')

    const { due, isAll } = await look()

    expect(isAll).toBe(false)
    expect(due).toBeGreaterThan(50_000)
    expect(due).toBeLessThan(60_000)
  })
})
