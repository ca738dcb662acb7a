import pg from 'pg'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { sweep, type SweepContext } from '../src/sweep.ts'
import { textOf } from '../src/sql.ts'
import type { Transaction } from '../src/transaction.ts'
import { NOW, openEntries, target } from './openEntries.ts'

const entries = openEntries()

const insert = (count: number, minutesAgo: number, lastMinutesAgo: number) =>
  entries.insert(
    count,
    `now - (${minutesAgo} + (${lastMinutesAgo} - ${minutesAgo})::float8 * number / ${count}) * interval '1 min'`,
  )

type Work = (tx: Transaction) => Promise<{ cleaned: number }>
type Transact = (work: Work) => Promise<{ cleaned: number }>

/** Cleans everything. Returns how many rows each batch cleaned. However it ends, it leaves no batch under way. */
async function clean(
  guard: SweepContext['guard'] = async () => undefined,
  transact: Transact = (work) => entries.prisma.$transaction((tx) => work(tx)),
  change = target.change,
  { now = NOW, cutoff = target.cutoff, signal = new AbortController().signal } = {},
): Promise<number[]> {
  const batches: number[] = []
  let underWay = 0
  await sweep(
    {
      async batch(work: Work) {
        underWay += 1
        try {
          const counts = await transact(work)
          batches.push(counts.cleaned)
          return counts
        } finally {
          underWay -= 1
        }
      },
      guard,
      log: pino({ level: 'silent' }),
      now: () => now,
      run: { dryRun: false },
      signal,
    } as never,
    { ...target, change, cutoff },
  ).finally(() => expect(underWay, 'batches under way').toBe(0))
  return batches
}

it('is refused where its cut-off lies ahead of the database, whatever the clock of its process says', async () => {
  const tomorrow = new Date(Date.now() + 86_400_000)
  await expect(
    clean(undefined, undefined, undefined, { now: tomorrow, cutoff: tomorrow }),
  ).rejects.toMatchObject({ code: 'cutoff_invalid' })
})

it('is over with the batch that has cleaned all that its guard has counted', async () => {
  const { prisma } = entries
  // More than one batch may have.
  await insert(60_000, 180, 60)
  await insert(20_000, -60, -120)
  const countDue: SweepContext['guard'] = async ({ due }) => {
    await prisma.$transaction((tx) => due(tx, Infinity))
  }
  const batches = await clean(countDue)
  expect(batches.length).toBeGreaterThan(1)
  // Others may be empty: after one that seems to have been cut, its pages are looked at once more.
  expect(batches.at(-1)).toBeGreaterThan(0)
  expect(await clean(countDue)).toEqual([0])
  expect(await prisma.i18nCacheEntry.count({ where: { createdAt: { lt: NOW } } })).toBe(0)
})

it.each([50, 5_000])(
  'changes no more rows than its guard has counted, however many become due before its first batch: %i',
  async (counted) => {
    await insert(counted, 180, 60)
    await insert(counted, -60, -120)
    const batches = await clean(async ({ due }) => {
      await entries.prisma.$transaction((tx) => due(tx, Infinity))
      await insert(2_000, 180, 60)
    })
    expect(batches.reduce((sum, cleaned) => sum + cleaned)).toBe(counted)
  },
)

it('finds nothing right after a large one, while its dead rows are still there', async () => {
  const { prisma } = entries
  await prisma.$executeRaw`alter table "I18nCacheEntry" set (autovacuum_enabled = false)`
  onTestFinished(
    async () =>
      void (await prisma.$executeRaw`alter table "I18nCacheEntry" reset (autovacuum_enabled)`),
  )
  await insert(40_000, 180, 60)
  await insert(20_000, -60, -120)
  await prisma.$executeRaw`delete from "I18nCacheEntry" where "createdAt" < ${NOW}`
  expect(await clean()).toEqual([0])
})

it('is over with a batch that does not commit, and keeps what those before it have done', async () => {
  await insert(60_000, 180, 60)
  let begun = 0
  const kept: number[] = []
  const cleaning = clean(undefined, (work) =>
    entries.prisma.$transaction(async (tx) => {
      const isSecond = ++begun === 2
      const { cleaned } = await work(tx)
      if (isSecond) throw new Error('lost')
      kept.push(cleaned)
      return { cleaned }
    }),
  )
  await expect(cleaning).rejects.toThrow('lost')
  expect(kept).toHaveLength(1)
  expect(begun).toBe(2)
  expect(await entries.prisma.i18nCacheEntry.count()).toBe(60_000 - kept[0]!)
})

it('has committed the batch that was under way once it is over, where it is aborted', async () => {
  await insert(60_000, 180, 60)
  const controller = new AbortController()
  let kept = 0
  const cleaning = clean(
    undefined,
    async (work) => {
      const counts = await entries.prisma.$transaction(async (tx) => {
        const changed = await work(tx)
        controller.abort(new Error('stopped'))
        await tx.$queryRaw`select 1`
        return changed
      })
      kept += counts.cleaned
      return counts
    },
    undefined,
    { signal: controller.signal },
  )
  await expect(cleaning).rejects.toThrow('stopped')
  expect(kept).toBeGreaterThan(0)
  expect(await entries.prisma.i18nCacheEntry.count()).toBe(60_000 - kept)
})

it('changes all rows of a batch whose counts met a lock', async () => {
  await insert(60_000, 180, 60)
  const changes: { tx: Transaction; pages: string; isLimited: boolean }[] = []
  let failed: string | null = null
  await clean(
    undefined,
    (work) =>
      entries.prisma.$transaction(async (tx) => {
        const counts = await work(tx)
        const change = changes.find((one) => one.tx === tx)
        if (failed !== null || !change?.isLimited) return counts
        failed = change.pages
        throw Object.assign(new Error('locked'), { code: '55P03' })
      }),
    async (tx, where) => {
      const pages = String(where.values.filter((value) => String(value).startsWith('(')))
      changes.push({ tx, pages, isLimited: textOf(where).includes('clock_timestamp') })
      return target.change(tx, where)
    },
  )
  const ofFailed = changes.filter(({ pages }) => pages === failed)
  expect(ofFailed.slice(0, 2).map(({ isLimited }) => isLimited)).toEqual([true, false])
  expect(await entries.prisma.i18nCacheEntry.count()).toBe(0)
})

it.each([
  { others: 20_000, count: 2_000, first: 2_000 },
  { others: 0, count: 6_000 },
  { others: 0, count: 60_000 },
])(
  'ends a batch that takes too long before it comes to all of its rows: $count beside $others',
  async ({ others, count, first = Infinity }) => {
    const { prisma } = entries
    await insert(count, 180, 60)
    await insert(others, -60, -120)
    await prisma.$executeRaw`
      create function take_time() returns trigger language plpgsql as
      'begin perform pg_sleep(0.002); return old; end'`
    onTestFinished(async () => void (await prisma.$executeRaw`drop function take_time cascade`))
    // Behind the first batch where there are several.
    const [slow] = await prisma.$queryRaw<{ from: string; until: string }[]>`
      select min("createdAt")::text as from, max("createdAt")::text as until
      from (select "createdAt" from "I18nCacheEntry" order by "createdAt" offset 1500 limit 100) slow`
    await prisma.$executeRawUnsafe(`
      create trigger take_time before delete on "I18nCacheEntry"
      for each row when (old."createdAt" between '${slow?.from}' and '${slow?.until}') execute function take_time()`)

    const failed: unknown[] = []
    const batches = await clean(undefined, (work) =>
      prisma
        .$transaction((tx) => work(tx))
        .catch((error: unknown) => {
          failed.push(error)
          throw error
        }),
    )

    expect(batches[0]).toBeLessThan(first)
    expect(batches.reduce((sum, one) => sum + one)).toBe(count)
    expect(failed).toEqual([])
  },
)

it('begins small where triggers or foreign keys work after the rows, which no limit ends', async () => {
  const { prisma } = entries
  await prisma.$executeRaw`create table child (entry uuid references "I18nCacheEntry" ("id") on delete cascade)`
  onTestFinished(async () => void (await prisma.$executeRaw`drop table child`))
  await insert(20_000, 180, 60)
  const batches = await clean()
  expect(batches[0]).toBeLessThan(1_500)
  expect(batches.reduce((sum, one) => sum + one)).toBe(20_000)
})

it.each([5, 20_000, 60_000])(
  'works in transactions of pg as well, one at a time, and passes over what is locked: %i rows',
  async (count) => {
    await insert(count, 180, 60)
    const pool = new pg.Pool({ connectionString: entries.url, max: 2 })
    onTestFinished(() => pool.end())
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query(`select from "I18nCacheEntry" order by "id" limit 2 for update`)

    let open = 0
    const transact: Transact = async (work) => {
      open += 1
      expect(open).toBe(1)
      const client = await pool.connect()
      try {
        await client.query('begin')
        const counts = await work(client)
        await client.query('commit')
        return counts
      } catch (error) {
        await client.query('rollback')
        throw error
      } finally {
        client.release()
        open -= 1
      }
    }
    const batches = await clean(undefined, transact)
    await holder.query('rollback')
    holder.release()

    expect(batches.reduce((sum, one) => sum + one)).toBe(count - 2)
    expect(await entries.prisma.i18nCacheEntry.count()).toBe(2)
  },
)
