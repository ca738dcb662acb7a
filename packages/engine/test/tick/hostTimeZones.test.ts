import { fakeClock } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { defineJob, type ScheduledJob, type ScheduleOptions } from '../../src/index.ts'
import { createScheduler, type Scheduler } from '../../src/tick/scheduler.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { useSession } from '../useSession.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

const job = (schedule: ScheduleOptions) =>
  defineJob({
    name: 'sweep',
    schedule: { missed: 'all', overlap: 'allow', ...schedule },
  }) as ScheduledJob

const runtime = useTestRuntime({ cleared: ['JobTick', 'JobSchedule'] })
useSession(runtime, 'test')

async function startScheduler(
  schedule: ScheduleOptions,
  workerId: string,
  now: () => Date,
): Promise<Scheduler> {
  const { database, log } = runtime
  const scheduler = createScheduler({
    jobs: [job(schedule)],
    database,
    workerId,
    log,
    now,
    clock: () => ({ stop: () => undefined }),
  })
  await scheduler.start()
  return scheduler
}

/** Has two workers live through it, waking at every step, which both see at the same time. */
async function liveThrough(
  schedule: ScheduleOptions,
  from: string,
  to: string,
  stepMs: number,
): Promise<void> {
  const clock = fakeClock(from)
  const workers = await Promise.all(
    ['w1', 'w2'].map((workerId) => startScheduler(schedule, workerId, clock.now)),
  )
  while (clock.now() < new Date(to)) {
    clock.advance(stepMs)
    await Promise.all(workers.map((worker) => worker.wake()))
  }
}

/** With `count` and `through`: a row that stands for several ticks would show. */
const ledger = async () =>
  (
    await runtime.rows<{ at: Date; outcome: string; count: number }>(
      'select "scheduledFor" as at, "outcome", "count" from "JobTick" order by "scheduledFor"',
    )
  ).map(({ at, outcome, count }) => `${at.toISOString().slice(0, 16)} ${outcome} ${count}`)

const enqueued = async () =>
  (
    await runtime.rows<{ at: string }>(
      `select "facts" ->> 'scheduledFor' as at from "JobWork" order by 1`,
    )
  ).map(({ at }) => at.slice(0, 16))

async function expectEachTickOnce(ticks: string[]): Promise<void> {
  expect(await ledger()).toEqual(ticks.map((tick) => `${tick} enqueued 1`))
  expect(await enqueued()).toEqual(ticks)
}

describe('the tick ledger', () => {
  it('has a daily tick of the spring gap once, at the end of the gap', async () => {
    await liveThrough(
      { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
      '2026-03-27T23:00:00Z',
      '2026-03-30T12:00:00Z',
      30 * MINUTE_MS,
    )
    await expectEachTickOnce(['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'])
  })

  it('has each of several times of day on the spring day', async () => {
    await liveThrough(
      { cron: '30 2,14 * * *', timeZone: 'Europe/Berlin' },
      '2026-03-28T23:00:00Z',
      '2026-03-29T20:00:00Z',
      30 * MINUTE_MS,
    )
    await expectEachTickOnce(['2026-03-29T01:00', '2026-03-29T12:30'])
  })

  it('has every quarter of the repeated autumn hour, and each one once', async () => {
    await liveThrough(
      { cron: '*/15 * * * *', timeZone: 'Europe/Berlin' },
      '2026-10-24T23:50:00Z',
      '2026-10-25T02:00:00Z',
      5 * MINUTE_MS,
    )
    await expectEachTickOnce([
      '2026-10-25T00:00',
      '2026-10-25T00:15',
      '2026-10-25T00:30',
      '2026-10-25T00:45',
      '2026-10-25T01:00',
      '2026-10-25T01:15',
      '2026-10-25T01:30',
      '2026-10-25T01:45',
      '2026-10-25T02:00',
    ])
  })

  it('has a daily tick of the repeated hour once', async () => {
    await liveThrough(
      { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
      '2026-10-24T12:00:00Z',
      '2026-10-26T12:00:00Z',
      30 * MINUTE_MS,
    )
    await expectEachTickOnce(['2026-10-25T00:30', '2026-10-26T01:30'])
  })

  it('follows half an hour forward in Lord Howe', async () => {
    await liveThrough(
      { cron: '0 * * * *', timeZone: 'Australia/Lord_Howe' },
      '2026-10-03T13:00:00Z',
      '2026-10-03T18:00:00Z',
      10 * MINUTE_MS,
    )
    // 00:00 and 01:00 at +10:30, then 03:00 and 04:00 at +11:00: there is no 02:00.
    await expectEachTickOnce([
      '2026-10-03T13:30',
      '2026-10-03T14:30',
      '2026-10-03T16:00',
      '2026-10-03T17:00',
      '2026-10-03T18:00',
    ])
  })

  it('follows half an hour back in Lord Howe', async () => {
    await liveThrough(
      { cron: '*/15 * * * *', timeZone: 'Australia/Lord_Howe' },
      '2026-04-04T14:25:00Z',
      '2026-04-04T15:30:00Z',
      5 * MINUTE_MS,
    )
    // 01:30 and 01:45 twice, then 02:00.
    await expectEachTickOnce([
      '2026-04-04T14:30',
      '2026-04-04T14:45',
      '2026-04-04T15:00',
      '2026-04-04T15:15',
      '2026-04-04T15:30',
    ])
  })

  it('has the leap day, and no day in its place in other years', async () => {
    await liveThrough(
      { cron: '0 12 29 2 *', timeZone: 'America/New_York' },
      '2023-02-20T00:00:00Z',
      '2025-03-10T00:00:00Z',
      12 * HOUR_MS,
    )
    expect((await ledger()).map((row) => row.slice(0, 16))).toEqual(['2024-02-29T17:00'])
  })

  it('has each tick once when nobody was there while the clocks changed', async () => {
    const schedule = {
      cron: '*/30 * * * *',
      timeZone: 'Europe/Berlin',
      missed: 'once',
      overlap: 'skip',
    } as const
    const clock = fakeClock('2026-10-24T23:40:00Z')
    await startScheduler(schedule, 'before', clock.now)
    clock.set('2026-10-25T02:10:00Z')
    const after = await Promise.all(
      ['w1', 'w2'].map((workerId) => startScheduler(schedule, workerId, clock.now)),
    )
    await Promise.all(after.map((worker) => worker.wake()))

    expect(await ledger()).toEqual([
      '2026-10-25T00:00 coalesced 1',
      '2026-10-25T00:30 coalesced 1',
      '2026-10-25T01:00 coalesced 1',
      '2026-10-25T01:30 coalesced 1',
      '2026-10-25T02:00 enqueued 1',
    ])
    expect(await enqueued()).toEqual(['2026-10-25T02:00'])
  })
})
