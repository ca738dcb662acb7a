import type { JobRunStatus } from '@roundsman/db'
import { openForTests } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { beforeEach, expect, it } from 'vitest'
import { createJobDays, type JobDays } from '../../src/console/createJobDays.ts'

const NOW = new Date('2026-11-24T09:30:00Z')
const HOUR_MS = 3_600_000

const database = openForTests(openTestDatabase)
let readDays: JobDays

beforeEach(async () => {
  await database.prisma.jobRun.deleteMany()
  readDays = createJobDays(database.reader)
})

const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * HOUR_MS)
const hoursLater = (hours: number) => hoursAgo(-hours)

interface Runs {
  count?: number
  errorCode?: string
  status?: JobRunStatus
  ms?: (index: number) => number
  name?: string
  dryRun?: boolean
}

async function add(startedAt: Date, runs: Runs = {}): Promise<void> {
  const { count = 1, status = 'success', errorCode = 'x', ms = () => 0 } = runs
  const { name = 'job', dryRun = false } = runs
  await database.prisma.jobRun.createMany({
    data: Array.from({ length: count }, (_, index) => ({
      name,
      trigger: 'queue' as const,
      workerId: 'w1',
      status,
      errorCode: status === 'failed' ? errorCode : null,
      dryRun,
      startedAt,
      endedAt: status === 'running' ? null : new Date(startedAt.getTime() + ms(index)),
    })),
  })
}

/** How many runs succeeded and failed, by date. */
async function counts(now = NOW, read = readDays): Promise<Record<string, [number, number]>> {
  const { days } = await read('job', now)
  return Object.fromEntries(days.map(({ date, success, failed }) => [date, [success, failed]]))
}

/** What PostgreSQL counts of all that is there. */
async function expected() {
  return await database.prisma.$queryRaw`
    select to_char("startedAt" at time zone 'UTC', 'YYYY-MM-DD') as "date",
           (count(*) filter (where "status" = 'success'))::int as "success",
           (count(*) filter (where "errorCode" = 'x'))::int as "failed",
           (count(*) filter (where "errorCode" = 'cancelled'))::int as "stopped"
    from "JobRun" where "name" = 'job' and not "dryRun" group by 1 order by 1`
}

it('says of each day what PostgreSQL would, as runs come and hours go by', async () => {
  let seed = 7
  const draw = (of: number) => (seed = (seed * 48_271) % 2_147_483_647) % of
  for (let hour = -60; hour < 30; hour += 3) {
    const ms = () => draw(hour % 2 === 0 ? 40 : 5_000)
    await add(hoursLater(hour), { count: 1 + draw(9), ms })
    await add(hoursLater(hour - 1), { count: draw(4), ms, status: 'failed' })
    await add(hoursLater(hour), { count: draw(3), status: 'failed', errorCode: 'cancelled' })
    await add(hoursLater(hour), { dryRun: true })
    await add(hoursLater(hour), { name: 'other' })
    const { days, hours } = await readDays('job', hoursLater(hour + 0.1))
    expect(days).toEqual(await expected())
    // The hours add up to the same runs.
    if (hours.length === 0) continue
    const sum = (spans: readonly { success: number; failed: number; stopped: number }[]) =>
      spans.reduce((all, { success, failed, stopped }) => all + success + failed + stopped, 0)
    expect(sum(hours)).toBe(sum(days))
    expect(hours.map(({ from }) => from)).toEqual(hours.map(({ from }) => from).toSorted())
  }
})

it('tells the hours while the days are the last three, and from then on the days alone', async () => {
  const read = async (now: Date) => (await readDays('job', now)).hours
  await add(hoursAgo(5), { count: 3, ms: (index) => index * 100 })
  await add(hoursAgo(4), { status: 'failed' })
  await add(hoursAgo(0.1), { status: 'running' })
  const hours = [
    { from: '2026-11-24T04:00:00.000Z', success: 3, failed: 0, stopped: 0 },
    { from: '2026-11-24T05:00:00.000Z', success: 0, failed: 1, stopped: 0 },
  ]
  const open = { from: '2026-11-24T09:00:00.000Z', success: 0, failed: 0, stopped: 0 }
  expect(await read(NOW)).toMatchObject([...hours, open])
  // The second answer, from what was kept, equals the first.
  expect(await read(NOW)).toMatchObject([...hours, open])
  expect((await read(new Date('2026-11-26T23:59:59Z'))).slice(0, 2)).toEqual(hours)
  expect(await read(new Date('2026-11-27T00:00:00Z'))).toEqual([])
})

it('reads an hour once, when it is over and all of it has ended', async () => {
  await add(hoursAgo(80))
  await add(hoursAgo(5), { count: 3 })
  await add(hoursAgo(0.2), { count: 4, status: 'failed' })
  expect(await counts()).toEqual({ '2026-11-21': [1, 0], '2026-11-24': [3, 4] })
  await database.prisma.jobRun.deleteMany({ where: { startedAt: { gt: hoursAgo(10) } } })
  expect(await counts()).toEqual({ '2026-11-21': [1, 0], '2026-11-24': [3, 0] })
})

it('reads again what may change: an hour with a run under way, all after it, one that is just over', async () => {
  const started = hoursAgo(7)
  await add(hoursAgo(80))
  await add(started, { status: 'running' })
  await add(hoursAgo(3))
  expect(await counts()).toEqual({ '2026-11-21': [1, 0], '2026-11-24': [1, 0] })
  await database.prisma.jobRun.updateMany({
    where: { status: 'running' },
    data: { status: 'failed', errorCode: 'x', endedAt: NOW },
  })
  await add(hoursAgo(2))
  expect(await counts()).toEqual({ '2026-11-21': [1, 0], '2026-11-24': [2, 1] })

  // At 09:05, runs that began before nine may be committed only now.
  const justOver = new Date('2026-11-24T09:05:00Z')
  const fresh = createJobDays(database.reader)
  const lastOfTheHour = new Date('2026-11-24T08:59:59Z')
  await counts(justOver, fresh)
  await add(lastOfTheHour)
  expect(await counts(justOver, fresh)).toEqual({ '2026-11-21': [1, 0], '2026-11-24': [3, 1] })
})

it('counts nothing twice when several ask at once', async () => {
  for (let hour = 0; hour < 50; hour += 5) await add(hoursAgo(hour), { count: 2 })
  const cold = { '2026-11-22': [6, 0], '2026-11-23': [10, 0], '2026-11-24': [4, 0] }
  expect(await Promise.all([counts(), counts(), counts()])).toEqual([cold, cold, cold])
  // All three find the same hours to settle.
  await add(hoursLater(1), { count: 3 })
  const later = hoursLater(8)
  const warm = { ...cold, '2026-11-24': [7, 0] }
  expect(await Promise.all([counts(later), counts(later), counts(later)])).toEqual([
    warm,
    warm,
    warm,
  ])
  expect(await counts(later)).toEqual(warm)
})

it('forgets the days of which nothing is left, and those longer ago than 60 days', async () => {
  await add(hoursAgo(80))
  await add(hoursAgo(50))
  expect(Object.keys(await counts())).toEqual(['2026-11-21', '2026-11-22'])
  await database.prisma.jobRun.deleteMany({ where: { startedAt: { lt: hoursAgo(60) } } })
  expect(Object.keys(await counts())).toEqual(['2026-11-22'])
  expect(Object.keys(await counts(hoursLater(60 * 24)))).toEqual([])
  await database.prisma.jobRun.deleteMany()
  expect(await counts()).toEqual({})
})

it('is made of the latest runs, and of no fewer than these as more come', async () => {
  const read = createJobDays(database.reader, 10)
  await add(hoursAgo(72), { count: 8 })
  await add(hoursAgo(48), { count: 4 })
  await add(hoursAgo(24), { count: 4 })
  expect(await counts(NOW, read)).toEqual({
    '2026-11-21': [2, 0],
    '2026-11-22': [4, 0],
    '2026-11-23': [4, 0],
  })
  // One hour has more runs than the limit.
  await add(hoursAgo(0), { count: 25 })
  expect(await counts(NOW, read)).toEqual({ '2026-11-24': [10, 0] })
  await add(hoursLater(24), { count: 6 })
  expect(await counts(hoursLater(24), read)).toEqual({ '2026-11-24': [4, 0], '2026-11-25': [6, 0] })
  // Settled hours stay whole, until there are enough runs without the oldest day.
  await counts(hoursLater(30), read)
  await add(hoursLater(48), { count: 6 })
  const three = { '2026-11-24': [4, 0], '2026-11-25': [6, 0], '2026-11-26': [6, 0] }
  expect(await counts(hoursLater(48), read)).toEqual(three)
  const { '2026-11-24': _, ...two } = three
  expect(await counts(hoursLater(54), read)).toEqual(two)
})

it('says of which instant on all are counted, while any that is left out is on record', async () => {
  const read = createJobDays(database.reader, 10)
  const cutBefore = async (now = NOW) => (await read('job', now)).cutBefore
  await add(hoursAgo(72), { count: 4 })
  await add(hoursAgo(48), { count: 5 })
  expect(await cutBefore()).toBeNull()
  await add(hoursLater(1), { count: 6 })
  const later = hoursLater(3)
  // All of a day is dropped, and of what is read anew the first hour is not whole.
  expect(await cutBefore(later)).toBe('2026-11-22T00:00:00.000Z')
  const anew = createJobDays(database.reader, 10)
  expect((await anew('job', later)).cutBefore).toBe('2026-11-22T10:00:00.000Z')
  await database.prisma.jobRun.deleteMany({ where: { startedAt: { lt: NOW } } })
  expect(await cutBefore(later)).toBeNull()
  expect((await anew('job', later)).cutBefore).toBeNull()
})

it('begins anew where the clock was put back', async () => {
  await add(hoursAgo(5), { count: 2 })
  expect(await counts(hoursLater(30))).toEqual({ '2026-11-24': [2, 0] })
  await add(hoursAgo(4))
  expect(await counts()).toEqual({ '2026-11-24': [3, 0] })
})
