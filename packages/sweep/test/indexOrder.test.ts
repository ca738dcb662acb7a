import { describe, expect, it } from 'vitest'
import { indexOrder } from '../src/indexOrder.ts'
import { NOW, openEntries, target } from './openEntries.ts'

describe('indexOrder', () => {
  const entries = openEntries()

  const insert = (count: number, createdAt: Date) => entries.prisma.$executeRaw`
    insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
    select gen_random_uuid(), 'en', gen_random_uuid()::text, 'text', ${createdAt.toISOString()}::timestamptz
    from generate_series(1, ${count}::int)`

  it('lists more rows than it keeps at a time, each once, also where many are of one age', async () => {
    await insert(120_000, new Date(NOW.getTime() - 60_000))
    await insert(10_000, NOW)
    const order = indexOrder(target)

    // One transaction, as in a dry run: what it has changed itself is not listed again either.
    const batches = await entries.prisma.$transaction(
      async (tx) => {
        const cleaned: number[] = []
        for (;;) {
          const next = await order.next(tx, 9_000)
          if (next.kind === 'end') return cleaned
          if (next.kind === 'rows') cleaned.push((await target.change(tx, next.where)).cleaned)
        }
      },
      { timeout: 60_000 },
    )

    expect(batches.reduce((total, cleaned) => total + cleaned)).toBe(120_000)
    expect(Math.min(...batches)).toBeGreaterThan(0)
  })

  it('knows when it has listed all', async () => {
    await insert(1_000, new Date(NOW.getTime() - 60_000))
    const order = indexOrder(target)

    expect(order.isOver()).toBe(false)
    await entries.prisma.$transaction((tx) => order.next(tx, 600))
    expect(order.isOver()).toBe(false)
    await entries.prisma.$transaction((tx) => order.next(tx, 600))
    expect(order.isOver()).toBe(true)
  })

  it('leaves alone what has come to stand where a listed row was', async () => {
    await insert(1_000, new Date(NOW.getTime() - 60_000))
    const order = indexOrder(target)
    expect(await entries.prisma.$transaction((tx) => order.next(tx, 1))).toMatchObject({
      kind: 'rows',
    })
    await entries.prisma.$executeRaw`delete from "I18nCacheEntry"`
    await entries.prisma.$executeRaw`vacuum "I18nCacheEntry"`
    await insert(1_000, NOW)

    const counts = await entries.prisma.$transaction(async (tx) => {
      const next = await order.next(tx, 1_000)
      return next.kind === 'rows' && target.change(tx, next.where)
    })

    expect(counts).toEqual({ cleaned: 0 })
    expect(await entries.prisma.i18nCacheEntry.count()).toBe(1_000)
  })
})
