import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { createMinuteCounts, type MinuteCounts } from '../../src/console/createMinuteCounts.ts'
import { openTestReader, type TestReader } from './openTestReader.ts'

const NOW = new Date('2026-11-24T09:30:20Z')
const MANY = 250

let opened: TestReader
let prisma: TestReader['prisma']
let countMinutes: MinuteCounts

beforeAll(async () => {
  opened = await openTestReader()
  ;({ prisma } = opened)
})

afterAll(() => opened.close())

beforeEach(async () => {
  await prisma.jobRun.deleteMany()
  countMinutes = createMinuteCounts(opened.reader)
})

const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000)
const add = (startedAt: Date, { count = 1, name = 'job', code = '' } = {}) =>
  prisma.jobRun.createMany({
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

it('counts by job and by what became of the runs, over the last hour', async () => {
  await add(minutesAgo(0))
  await add(minutesAgo(0), { name: 'other', code: 'wolf' })
  await add(minutesAgo(59))
  for (const code of ['cancelled', 'guard_blocked', 'expired', 'drained']) {
    await add(minutesAgo(59), { code })
  }
  for (const code of ['worker_lost', 'wolf', 'running']) await add(minutesAgo(59), { code })
  await add(minutesAgo(60))
  const minutes = await countMinutes(NOW)
  expect(minutes).toHaveLength(60)
  expect(minutes.at(-1)?.from).toEqual(new Date('2026-11-24T09:30:00Z'))
  expect(minutes.at(-1)?.jobs.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
    { name: 'job', success: 1, failed: 0 },
    { name: 'other', success: 0, failed: 1 },
  ])
  expect(minutes[0]?.jobs).toMatchObject([{ success: 1, failed: 2, stopped: 4, running: 1 }])
  expect(minutes.flatMap(({ jobs }) => jobs)).toHaveLength(3)
})

it('counts a minute with many runs once, when it is over and all of them have ended', async () => {
  await add(minutesAgo(10), { count: MANY })
  await add(minutesAgo(8), { count: MANY })
  await add(minutesAgo(8), { code: 'running' })
  await add(minutesAgo(1), { count: MANY })
  await countMinutes(NOW)
  await prisma.jobRun.deleteMany()
  const left = (await countMinutes(NOW)).filter(({ jobs }) => jobs.length > 0)
  expect(left.map(({ from, jobs }) => [from.toISOString(), jobs[0]?.success])).toEqual([
    ['2026-11-24T09:20:00.000Z', MANY],
  ])
  // It is forgotten when nobody asks for it any more.
  const later = new Date(NOW.getTime() + 2 * 3_600_000)
  await countMinutes(later)
  expect((await countMinutes(NOW)).flatMap(({ jobs }) => jobs)).toEqual([])
})
