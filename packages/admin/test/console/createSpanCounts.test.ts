import { openForTests } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { beforeEach, expect, it } from 'vitest'
import {
  createSpanCounts,
  sumOutcomes,
  type SpanCounts,
} from '../../src/console/createSpanCounts.ts'

const NOW = new Date('2026-11-24T09:30:20Z')
const HOUR_MS = 3_600_000
const MANY = 600

const database = openForTests(openTestDatabase)
let countHours: SpanCounts

beforeEach(async () => {
  await database.prisma.jobRun.deleteMany()
  const settleMs = 10 * 60_000
  countHours = createSpanCounts(database.reader, { lengthMs: HOUR_MS, spans: 25, settleMs })
})

const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * HOUR_MS)
const add = (startedAt: Date, { count = 1, name = 'job', code = '' } = {}) =>
  database.prisma.jobRun.createMany({
    data: Array.from({ length: count }, () => ({
      name,
      trigger: 'queue' as const,
      workerId: 'w1',
      startedAt,
      ...(code === 'running'
        ? { status: 'running' as const }
        : {
            status: code === '' ? ('success' as const) : ('failed' as const),
            errorCode: code === '' ? null : code,
            endedAt: startedAt,
          }),
    })),
  })
const successes = async (now = NOW) =>
  (await countHours(now)).map(({ jobs }) => sumOutcomes(jobs).success)

it('counts the hour under way and the 24 before it, and nothing beyond', async () => {
  await add(new Date('2026-11-24T09:00:00Z'), { code: 'running' })
  await add(new Date('2026-11-24T08:59:59.999Z'), { code: 'wolf' })
  await add(new Date('2026-11-23T09:00:00Z'))
  await add(new Date('2026-11-23T08:59:59.999Z'))

  const hours = await countHours(NOW)
  expect(hours).toHaveLength(25)
  expect(hours[24]?.from).toEqual(new Date('2026-11-24T09:00:00Z'))
  expect(hours[24]?.jobs).toMatchObject([{ success: 0, failed: 0, running: 1 }])
  expect(hours[23]?.jobs).toMatchObject([{ success: 0, failed: 1, running: 0 }])
  expect(hours[0]?.jobs).toMatchObject([{ name: 'job', success: 1, failed: 0 }])
  expect(hours.flatMap(({ jobs }) => jobs)).toHaveLength(3)
})

it('counts by job and by what became of the runs, and what people or their guard stopped by itself', async () => {
  await add(hoursAgo(3))
  for (const code of ['cancelled', 'guard_blocked', 'expired', 'drained']) {
    await add(hoursAgo(3), { code })
  }
  for (const code of ['worker_lost', 'wolf', 'running']) await add(hoursAgo(3), { code })
  await add(hoursAgo(3), { name: 'other', code: 'wolf' })
  const { jobs } = (await countHours(NOW))[21]!
  expect(jobs.toSorted((one, other) => one.name.localeCompare(other.name))).toMatchObject([
    { name: 'job', success: 1, failed: 2, stopped: 4, running: 1, expired: 1 },
    { name: 'other', success: 0, failed: 1, stopped: 0, running: 0, expired: 0 },
  ])
})

it('counts an hour with many runs once, when it is over', async () => {
  await add(hoursAgo(3), { count: MANY })
  expect((await successes())[21]).toBe(MANY)
  await database.prisma.jobRun.deleteMany()
  expect((await successes())[21]).toBe(MANY)
})

it('counts again what may change: the hour under way, one with runs under way, one with few', async () => {
  await add(hoursAgo(0), { count: MANY })
  await add(hoursAgo(2), { count: MANY })
  await add(hoursAgo(2), { code: 'running' })
  await add(hoursAgo(4))
  await countHours(NOW)
  await database.prisma.jobRun.deleteMany()
  expect(await successes()).toEqual(Array(25).fill(0))
})

it('forgets hours that nobody asks for any more', async () => {
  await add(hoursAgo(3), { count: MANY })
  await countHours(NOW)
  expect(await successes(hoursAgo(-48))).toEqual(Array(25).fill(0))
  await database.prisma.jobRun.deleteMany()
  expect((await successes())[21]).toBe(0)
})
