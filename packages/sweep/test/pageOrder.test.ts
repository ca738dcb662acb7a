// Not quick: fills large tables.
import { describe, expect, it } from 'vitest'
import { firstLook } from '../src/firstLook.ts'
import { pageOrder } from '../src/pageOrder.ts'
import { openEntries, target } from './openEntries.ts'

const BATCH = 1_000

describe('pageOrder', () => {
  const entries = openEntries()

  const insert = (count: number, due: boolean) =>
    entries.insert(count, `now + interval '${due ? '-1 hour' : '1 hour'}'`)

  /** Cleans everything. Returns how many rows each batch had. */
  async function sweepAll({ onBatch = async () => {} }: { onBatch?: () => Promise<unknown> } = {}) {
    const seen = await entries.prisma.$transaction((tx) => firstLook(tx, target))
    const order = pageOrder(target, seen, new AbortController().signal)
    const batches: number[] = []
    for (;;) {
      const counts = await entries.prisma.$transaction(async (tx) => {
        const next = await order.next(tx, BATCH)
        return next && target.change(tx, next)
      })
      if (counts === null) return batches
      order.changed(counts.cleaned, false)
      batches.push(counts.cleaned)
      await onBatch()
    }
  }
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

  it('cuts an evenly filled table into batches of about the size asked for', async () => {
    await insert(30_000, true)

    const batches = await sweepAll()

    expect(sum(batches)).toBe(30_000)
    expect(Math.max(...batches)).toBeLessThan(BATCH * 1.2)
    expect(batches.length).toBeLessThan(40)
  })

  it('makes no batch too big where much follows little', async () => {
    for (let repeat = 0; repeat < 3; repeat += 1) {
      await insert(60_000, false)
      await insert(10, true)
      await insert(5_000, true)
    }

    const batches = await sweepAll()

    expect(sum(batches)).toBe(15_030)
    expect(Math.max(...batches)).toBeLessThan(BATCH * 1.2)
  })

  it('makes none too big either where it knows how full pages are, and takes a table in as few', async () => {
    for (let repeat = 0; repeat < 3; repeat += 1) {
      await insert(30_000, false)
      await insert(20_000, true)
    }
    await entries.prisma.$executeRaw`vacuum analyze "I18nCacheEntry"`

    const batches = await sweepAll()

    expect(sum(batches)).toBe(60_000)
    expect(Math.max(...batches)).toBeLessThan(BATCH * 4)
    expect(batches.length).toBeLessThan(80)
  })

  it('makes no batch of pages in which nothing is due', async () => {
    await insert(100_000, false)
    await insert(20_000, true)

    expect(Math.min(...(await sweepAll()))).toBeGreaterThan(0)
  })

  it('goes on to what was put after the end meanwhile, once', async () => {
    await insert(20_000, true)
    let batches = 0
    const onBatch = async () => {
      batches += 1
      if (batches === 2) await insert(5_000, true)
    }

    expect(sum(await sweepAll({ onBatch }))).toBe(25_000)
  })

  it('comes back to the pages of a batch that was cut', async () => {
    await insert(3_000, true)
    const order = pageOrder(target, { pages: 100, rowsPerPage: null }, new AbortController().signal)
    const first = await entries.prisma.$transaction((tx) => order.next(tx, BATCH))
    order.changed(0, true)
    expect(await entries.prisma.$transaction((tx) => order.next(tx, BATCH))).toEqual(first)
    expect(await entries.prisma.$transaction((tx) => order.next(tx, BATCH))).not.toEqual(first)
  })
})
