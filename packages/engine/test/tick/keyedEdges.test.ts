import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { createKeyedScheduler } from '../../src/tick/keyedScheduler.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const report = defineJob({ name: 'report', payload: z.looseObject({}) })
const invoice = defineJob({ name: 'invoice', payload: z.looseObject({}) })

const { runtime, client } = useClientRuntime()

beforeEach(() => runtime.clear('JobKeyedSchedule', 'JobKeyedTick', 'JobAction'))

type SchedulerOptions = Parameters<typeof createKeyedScheduler>[0]
const createScheduler = (more: Partial<SchedulerOptions> = {}) =>
  createKeyedScheduler({
    jobs: [report, invoice],
    database: runtime.database,
    workerId: 'w1',
    log: runtime.log,
    ...more,
  })

/** Makes all schedules as old as if they had been made by so many minutes earlier. */
const makeOlder = (minutes: number) =>
  runtime.database.query(
    `update "JobKeyedSchedule" set "cursor" = "cursor" - $1 * interval '1 minute', "nextAt" = "nextAt" - $1 * interval '1 minute',
       "dueAt" = "dueAt" - $1 * interval '1 minute'`,
    [minutes],
  )

describe('a job of which very much is due', () => {
  it('does not keep waiting one that becomes due meanwhile', async () => {
    const many = Array.from({ length: 1_001 }, (_, n) => ({ key: `${n}`, cron: '0 0 1 1 *' }))
    await client.schedules.upsertMany(null, report, many)
    await client.schedules.upsert(null, invoice, { key: 'one', cron: '0 0 1 1 *' })
    await makeOlder(366 * 24 * 60)

    const order: string[] = []
    const scheduler = createScheduler({
      onTick(name) {
        order.push(name)
        if (order.length === 1) void scheduler.decide(['invoice'])
      },
    })
    await scheduler.decide(['report'])

    expect(order).toEqual(['report', 'invoice', 'report', 'report'])
  })
})

describe('large payloads', () => {
  it('are decided in parts, however much was due', async () => {
    const payload = { text: 'x'.repeat(60_000) }
    const missed = { missed: 'all', overlap: 'allow' } as const
    const many = Array.from({ length: 4 }, (_, n) => ({ key: `${n}`, cron: '* * * * *', payload }))
    await client.schedules.upsertMany(
      null,
      report,
      many.map((one) => ({ ...one, ...missed })),
    )
    await makeOlder(90)
    const transactions: string[] = []
    const scheduler = createScheduler({
      onTick: (name) => void transactions.push(name),
    })
    await scheduler.decide(['report'])

    expect(transactions).toEqual(['report', 'report'])
    const [row] = await runtime.rows<{ ticks: number; works: number }>(
      `select (select count(*) from "JobKeyedTick")::int as "ticks", (select count(*) from "JobWork")::int as "works"`,
    )
    expect(row?.works).toBeGreaterThanOrEqual(4 * 90)
    expect(row?.ticks).toBe(row?.works)
  })
})
