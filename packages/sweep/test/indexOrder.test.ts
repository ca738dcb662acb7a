import { describe, expect, it } from 'vitest'
import { indexOrder } from '../src/indexOrder.ts'
import { sql } from '../src/sql.ts'
import { queryRows } from '../src/transaction.ts'
import { openEntries, target } from './openEntries.ts'

describe('indexOrder', () => {
  const entries = openEntries()

  const MINUTE_AGO = "now - interval '1 min'"

  it('lists more rows than it keeps at a time, each once, also where many are of one age', async () => {
    await entries.insert(120_000, MINUTE_AGO)
    await entries.insert(10_000, 'now')
    const order = indexOrder(target)

    // In one transaction, as in a dry run: rows that it has changed itself must not be listed again.
    const batches = await entries.prisma.$transaction(
      async (tx) => {
        const cleaned: number[] = []
        for (;;) {
          const next = await order.next(tx, 9_000)
          if (next === null) return cleaned
          cleaned.push((await target.change(tx, next)).cleaned)
        }
      },
      { timeout: 60_000 },
    )

    expect(batches.reduce((total, cleaned) => total + cleaned)).toBe(120_000)
    expect(Math.min(...batches)).toBeGreaterThan(0)
  })

  it.each(['int4', 'int8', 'text', 'date', 'timestamp'] as const)(
    'goes on behind the last row that it has listed by a key of type %s',
    async (keyType) => {
      const isTime = keyType === 'date' || keyType === 'timestamp'
      const value = isTime ? `timestamp '2020-01-01' + n * interval '1 min'` : 'n'
      const { prisma } = entries
      await prisma.$executeRawUnsafe(`create table visit (id ${keyType})`)
      await prisma.$executeRawUnsafe(
        `insert into visit select (${value})::${keyType} from generate_series(1, 50002) n`,
      )
      const due = sql`true`
      const order = indexOrder({
        ...target,
        table: 'visit',
        due,
        finders: [{ where: due, key: 'id', keyType }],
      })

      let listed = 0
      await prisma.$transaction(async (tx) => {
        for (;;) {
          const next = await order.next(tx, 50_000)
          if (next === null) break
          listed += (await queryRows(tx, sql`select from visit where ${next}`)).length
        }
      })

      expect(listed).toBe(50_002)
      await prisma.$executeRaw`drop table visit`
    },
  )

  it('takes the rows as they lie, also where statistics from before have the index find next to none', async () => {
    await entries.insert(40_000, "now + interval '1 hour'")
    await entries.prisma.$executeRaw`analyze "I18nCacheEntry"`
    await entries.insert(2_000, "now - random() * interval '1 day'")

    const lines = await entries.prisma.$transaction(async (tx) => {
      const next = await indexOrder(target).next(tx, 1_000)
      if (next === null) return []
      return await queryRows<object>(tx, sql`explain delete from "I18nCacheEntry" where ${next}`)
    })

    const plan = lines.map((line) => String(Object.values(line)).slice(0, 60)).join('\n')
    expect(plan).toContain('Tid Scan')
  })

  it('comes back to all rows of a batch that was cut, whichever of them it has changed', async () => {
    await entries.insert(1_000, MINUTE_AGO)
    const order = indexOrder(target)
    await entries.prisma.$transaction((tx) => order.next(tx, 800))
    // As in a partitioned table, which PostgreSQL goes through partition by partition.
    await entries.prisma.$executeRaw`
      delete from "I18nCacheEntry" where "id" in (
        select "id" from "I18nCacheEntry" order by ctid offset 500 limit 300)`
    order.changed(0, true)

    const cleanSome = () =>
      entries.prisma.$transaction(async (tx) => {
        const next = await order.next(tx, 400)
        if (next !== null) await target.change(tx, next)
        return next !== null
      })
    while (await cleanSome());

    expect(await entries.prisma.i18nCacheEntry.count()).toBe(0)
  })

  it('leaves alone what has come to stand where a listed row was', async () => {
    await entries.insert(1_000, MINUTE_AGO)
    const order = indexOrder(target)
    expect(await entries.prisma.$transaction((tx) => order.next(tx, 1))).not.toBeNull()
    await entries.prisma.$executeRaw`delete from "I18nCacheEntry"`
    await entries.prisma.$executeRaw`vacuum "I18nCacheEntry"`
    await entries.insert(1_000, 'now')

    const counts = await entries.prisma.$transaction(async (tx) => {
      const next = await order.next(tx, 1_000)
      return next && target.change(tx, next)
    })

    expect(counts).toEqual({ cleaned: 0 })
    expect(await entries.prisma.i18nCacheEntry.count()).toBe(1_000)
  })
})
