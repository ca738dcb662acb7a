import { beforeAll, expect, it } from 'vitest'
import { listJobTicks, listRecentTicks } from '../../src/internal.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const at = (hour: number) => `2026-05-01T${String(hour).padStart(2, '0')}:00:00.000Z`
const WORK = '0189a000-0000-7000-8000-000000000001'
const ATTEMPTS = [2, 3, 1]

const runtime = useTestRuntime()

// In no order, as those who come first and last are looked for.
beforeAll(async () => {
  for (const [name, hour] of [
    ['sweep', 11],
    ['other', 10],
    ['sweep', 13],
    ['sweep', 10],
    ['other', 12],
    ['sweep', 12],
    ['other', 11],
  ] as const) {
    await runtime.rows(
      `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId", "workId")
       values ($1, $2, 'enqueued', 'w', $3)`,
      [name, at(hour), hour === 13 ? WORK : null],
    )
  }
  for (const attempt of ATTEMPTS) {
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt", "workId", "attempt")
       values ($1, 'sweep', 'schedule', 'w', 'success', now(), $2, $3)`,
      [`0189a000-0000-7000-8000-00000000010${attempt}`, WORK, attempt],
    )
  }
})

it('lists the ticks of a job from the newest on, page by page', async () => {
  const first = await listJobTicks(runtime.reader, { name: 'sweep', limit: 2 })
  expect(first.ticks.map(({ scheduledFor }) => scheduledFor)).toEqual([at(13), at(12)])
  const rest = await listJobTicks(runtime.reader, {
    name: 'sweep',
    limit: 2,
    before: first.next ?? undefined,
  })
  expect(rest.ticks.map(({ scheduledFor }) => scheduledFor)).toEqual([at(11), at(10)])
  expect(rest.next).toBeNull()
})

it('lists the newest ticks of each job, with the last attempt of each', async () => {
  const ticks = await listRecentTicks(runtime.reader, ['sweep', 'other'], 2)
  expect(ticks.map(({ name, scheduledFor }) => [name, scheduledFor])).toEqual([
    ['other', at(12)],
    ['other', at(11)],
    ['sweep', at(13)],
    ['sweep', at(12)],
  ])
  expect(ticks[2]?.run?.id).toBe('0189a000-0000-7000-8000-000000000103')
})
