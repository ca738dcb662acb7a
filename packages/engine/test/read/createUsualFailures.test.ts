import { beforeEach, expect, it } from 'vitest'
import { createUsualFailures, type UsualFailures } from '../../src/read/createUsualFailures.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const NOW = new Date('2026-11-24T09:30:00Z')
const HOUR_MS = 3_600_000

const runtime = useTestRuntime()
let usualFailures: UsualFailures

beforeEach(async () => {
  await runtime.prisma.jobRun.deleteMany()
  usualFailures = createUsualFailures()
})

const add = (startedAt: string, { count = 1, code = null as string | null, name = 'job' } = {}) =>
  runtime.prisma.jobRun.createMany({
    data: Array.from({ length: count }, () => ({
      name,
      trigger: 'queue' as const,
      workerId: 'w1',
      status: code === null ? ('success' as const) : ('failed' as const),
      startedAt: new Date(startedAt),
      endedAt: new Date(startedAt),
      errorCode: code,
    })),
  })
const usual = async (now = NOW) => (await usualFailures(runtime.reader, ['job'], now)).get('job')

it('is of the hours of a week that are over, and of nobody else', async () => {
  await add('2026-11-24T08:59:59.999Z', { code: 'broken' })
  await add('2026-11-17T09:00:00Z')
  await add('2026-11-24T09:00:00Z')
  await add('2026-11-17T08:59:59.999Z')
  await add('2026-11-24T08:00:00Z', { name: 'other' })
  expect(await usual()).toEqual({ runs: 2, failed: 1 })
})

it('is nothing of a job that has not run', async () => {
  expect(await usual()).toBeUndefined()
})

it('leaves out what somebody cancelled or a guard blocked', async () => {
  await add('2026-11-24T03:00:00Z', { count: 3 })
  for (const code of ['cancelled', 'guard_blocked', 'drained', 'expired']) {
    await add('2026-11-24T03:00:00Z', { code })
  }
  expect(await usual()).toEqual({ runs: 3, failed: 0 })
})

it('counts no more than the last 30 runs of an hour', async () => {
  await add('2026-11-23T03:00:00Z', { count: 500 })
  await add('2026-11-23T04:00:00Z', { count: 20, code: 'broken' })
  expect(await usual()).toEqual({ runs: 50, failed: 20 })
})

it('looks at each hour once, and forgets those that are older than a week', async () => {
  await add('2026-11-24T03:00:00Z')
  expect(await usual()).toEqual({ runs: 1, failed: 0 })
  await runtime.prisma.jobRun.deleteMany()
  await add('2026-11-24T09:15:00Z', { code: 'broken' })
  const later = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS)
  expect(await usual(later(1))).toEqual({ runs: 2, failed: 1 })
  expect(await usual(later(7 * 24))).toEqual({ runs: 1, failed: 1 })
  expect(await usual(later(8 * 24))).toBeUndefined()
})
