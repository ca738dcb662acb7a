// Not quick: fills large tables.
import { describe, expect, it } from 'vitest'
import { chooseOrder } from '../src/chooseOrder.ts'
import { firstLook } from '../src/firstLook.ts'
import { pageOrder } from '../src/pageOrder.ts'
import { openEntries, target } from './openEntries.ts'

const BATCH = 1_000

describe('pageOrder', () => {
  const entries = openEntries()

  const insert = (count: number, due: boolean) =>
    entries.insert(count, `now + interval '${due ? '-1 hour' : '1 hour'}'`)

  /** Cleans everything. Returns how many rows each batch had. */
  async function sweepAll({
    due = null,
    onBatch = async () => {},
  }: { due?: number | null; onBatch?: () => Promise<unknown> } = {}) {
    const chosen = await entries.prisma.$transaction(async (tx) =>
      chooseOrder(tx, target, await firstLook(tx, target)),
    )
    if (chosen.kind !== 'pages') throw new Error(`Not a case for pages: ${chosen.kind}`)
    const order = pageOrder({ target, due, signal: new AbortController().signal, ...chosen })
    const batches: number[] = []
    for (;;) {
      const counts = await entries.prisma.$transaction(async (tx) => {
        const next = await order.next(tx, BATCH)
        return next.kind === 'rows' ? target.change(tx, next.where) : null
      })
      if (counts === null) return batches
      order.changed(counts.cleaned)
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

  it('reads no further where all that was counted is found and little follows', async () => {
    await insert(60_000, true)
    await insert(100_000, false)
    await insert(10, true)
    await insert(1_000, false)

    expect(sum(await sweepAll({ due: 60_000 }))).toBe(60_000)
  })

  it('goes on to what was put after the end also where it left the rest unread', async () => {
    await insert(60_000, true)
    await insert(100_000, false)
    let batches = 0
    const onBatch = async () => {
      batches += 1
      if (batches === 2) await insert(5_000, true)
    }

    expect(sum(await sweepAll({ due: 60_000, onBatch }))).toBe(65_000)
  })

  it('reads on where somebody else has changed some of what was counted', async () => {
    await insert(60_000, true)
    await insert(100_000, false)
    await insert(10, true)

    expect(sum(await sweepAll({ due: 60_011 }))).toBe(60_010)
  })
})
