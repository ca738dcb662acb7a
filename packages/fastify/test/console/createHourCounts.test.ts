import type { JobRunStatus } from '@roundsman/db'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { createHourCounts, type HourCounts } from '../../src/console/createHourCounts.ts'
import { openTestReader, type TestReader } from './openTestReader.ts'

const NOW = new Date('2026-11-24T09:30:00Z')
const HOUR_MS = 3_600_000
const MANY = 600

let opened: TestReader
let prisma: TestReader['prisma']
let reader: TestReader['reader']
let countHours: HourCounts

beforeAll(async () => {
  opened = await openTestReader()
  ;({ prisma, reader } = opened)
})

afterAll(() => opened.close())

beforeEach(async () => {
  await prisma.jobRun.deleteMany()
  countHours = createHourCounts(reader)
})

const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * HOUR_MS)
const add = (
  startedAt: Date,
  { count = 1, status = 'success' }: { count?: number; status?: JobRunStatus } = {},
) =>
  prisma.jobRun.createMany({
    data: Array.from({ length: count }, () => ({
      name: 'job',
      trigger: 'queue' as const,
      workerId: 'w1',
      status,
      startedAt,
      endedAt: status === 'running' ? null : startedAt,
      errorCode: status === 'failed' ? 'broken' : null,
    })),
  })
const countAt = async (startedAt: Date) => {
  const from = new Date(Math.floor(startedAt.getTime() / HOUR_MS) * HOUR_MS).toISOString()
  return (await countHours(NOW)).find((hour) => hour.from === from)
}

it('counts the hour under way and the 24 before it, and nothing beyond', async () => {
  await add(new Date('2026-11-24T09:00:00Z'), { status: 'running' })
  await add(new Date('2026-11-24T08:59:59.999Z'), { status: 'failed' })
  await add(new Date('2026-11-23T09:00:00Z'))
  await add(new Date('2026-11-23T08:59:59.999Z'))

  const hours = await countHours(NOW)
  expect(hours).toHaveLength(25)
  expect(hours[24]).toEqual({
    from: '2026-11-24T09:00:00.000Z',
    success: 0,
    failed: 0,
    running: 1,
  })
  expect(hours[23]).toMatchObject({ failed: 1, success: 0 })
  expect(hours[0]).toEqual({ from: '2026-11-23T09:00:00.000Z', success: 1, failed: 0, running: 0 })
  expect(hours.reduce((sum, { success }) => sum + success, 0)).toBe(1)
})

it('counts an hour with many runs once, when it is over', async () => {
  await add(hoursAgo(3), { count: MANY })
  expect(await countAt(hoursAgo(3))).toMatchObject({ success: MANY })
  await prisma.jobRun.deleteMany()
  expect(await countAt(hoursAgo(3))).toMatchObject({ success: MANY })
})

it('counts again what may change: the hour under way, one with runs under way, one with few', async () => {
  await add(hoursAgo(0), { count: MANY })
  await add(hoursAgo(2), { count: MANY })
  await add(hoursAgo(2), { status: 'running' })
  await add(hoursAgo(4))
  await countHours(NOW)
  await prisma.jobRun.deleteMany()
  expect((await countHours(NOW)).map(({ success }) => success)).toEqual(Array(25).fill(0))
})

it('forgets hours that nobody asks for any more', async () => {
  await add(hoursAgo(3), { count: MANY })
  await countHours(NOW)
  const later = await countHours(new Date(NOW.getTime() + 48 * HOUR_MS))
  expect(later.map(({ success }) => success)).toEqual(Array(25).fill(0))
  await prisma.jobRun.deleteMany()
  expect(await countAt(hoursAgo(3))).toMatchObject({ success: 0 })
})
