import { waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import pg from 'pg'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import {
  listLateSchedules,
  listRefusedSchedules,
  MAX_REFUSED,
} from '../../src/read/listKeyedSchedules.ts'
import { createScheduler as create } from '../../src/tick/scheduler.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { countLockWaits } from '../countLockWaits.ts'

const report = defineJob({ name: 'report', payload: z.looseObject({}) })
const invoice = defineJob({ name: 'invoice', payload: z.looseObject({}) })

const { runtime, client } = useClientRuntime({
  cleared: ['JobSchedule', 'JobTick', 'JobAction'],
})

type SchedulerOptions = Parameters<typeof create>[0]
const createScheduler = (more: Partial<SchedulerOptions> = {}) =>
  create({
    jobs: [report, invoice],
    database: runtime.database,
    workerId: 'w1',
    log: runtime.log,
    ...more,
  })

/** Makes all schedules as old as if they had been made by so many minutes earlier. */
const makeOlder = (minutes: number) =>
  runtime.database.query(
    `update "JobSchedule" set "cursor" = "cursor" - $1 * interval '1 minute', "nextAt" = "nextAt" - $1 * interval '1 minute',
       "dueAt" = "dueAt" - $1 * interval '1 minute'`,
    [minutes],
  )

const by = { actor: 'admin@example.com', reason: 'asked' }
const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000)
const outcomes = async () =>
  (await runtime.rows('select "outcome" from "JobTick" order by "scheduledFor"')).map(
    ({ outcome }) => outcome,
  )

describe('a job of which very much is due', () => {
  it('does not keep waiting one that becomes due meanwhile', async () => {
    const many = Array.from({ length: 1_001 }, (_, n) => ({ key: `${n}`, cron: '0 0 1 1 *' }))
    await client.schedules.upsertMany(null, report, many)
    await makeOlder(366 * 24 * 60)
    const order: string[] = []
    const scheduler = createScheduler({
      onTick(name) {
        order.push(name)
        makingDue ??= makeDue()
      },
      // The second look waits until the other job is due.
      database: {
        ...runtime.database,
        query: async (...asked) => {
          await makingDue
          return await runtime.database.query(...asked)
        },
      },
    })
    let makingDue: Promise<unknown> | undefined
    const makeDue = async () => {
      await client.schedules.upsert(null, invoice, { key: 'one', cron: '0 0 1 1 *' })
      await runtime.rows(
        `update "JobSchedule" set "nextAt" = now(), "dueAt" = now() where "name" = 'invoice'`,
      )
    }
    await scheduler.wake()

    expect(order.indexOf('invoice')).toBeGreaterThan(0)
    expect(order.lastIndexOf('report')).toBeGreaterThan(order.indexOf('invoice'))
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
    await scheduler.wake()

    expect(transactions).toEqual(['report', 'report'])
    const [row] = await runtime.rows<{ ticks: number; works: number }>(
      `select (select count(*) from "JobTick")::int as "ticks", (select count(*) from "JobWork")::int as "works"`,
    )
    expect(row?.works).toBeGreaterThanOrEqual(4 * 90)
    expect(row?.ticks).toBe(row?.works)
  })
})

describe('jitter', () => {
  it.each([{ missed: 'skip' as const }, { catchUpMs: 60_000 }])(
    'makes no tick late that a change decides before it is due: %j',
    async (policy) => {
      // Whatever the hour is, none of its own instants is near.
      const hour = (new Date().getUTCHours() + 12) % 24
      const cron = { cron: `0 ${hour} * * *`, jitterMs: 40_000_000, ...policy }
      await client.schedules.upsert(null, report, { key: 'one', ...cron })
      // Its instant was half an hour ago, and its work is due in some hours.
      await runtime.database.query(
        `update "JobSchedule" set "nextAt" = now() - interval '30 minutes', "cursor" = now() - interval '1 hour',
           "delayMs" = 7200000, "dueAt" = now() + interval '90 minutes'`,
      )

      await client.schedules.delete(null, report, 'one', by)

      expect(await outcomes()).toEqual(['enqueued'])
    },
  )
})

describe('a backfill', () => {
  it('makes no work before the start of the schedule', async () => {
    const hourly = { key: 'one', cron: '0 * * * *' }
    await client.schedules.upsert(null, report, { ...hourly, startsAt: inMinutes(60) })
    const past = { ...by, from: inMinutes(-300), to: inMinutes(0) }

    expect(await client.schedules.backfill(null, report, 'one', past)).toEqual({
      kind: 'backfilled',
      enqueued: 0,
      kept: 0,
    })
  })

  it('makes no work after the end of the schedule', async () => {
    const endsAt = new Date('2026-01-05T12:00:00Z')
    await client.schedules.upsert(null, report, { key: 'one', cron: '0 * * * *', endsAt })
    const [from, to] = [new Date('2026-01-05T10:30:00Z'), new Date('2026-01-05T14:30:00Z')]
    const past = { ...by, from, to }

    expect(await client.schedules.backfill(null, report, 'one', past)).toEqual({
      kind: 'backfilled',
      enqueued: 2,
      kept: 0,
    })
  })

  it('tells each run which instant the schedule names before it', async () => {
    const [first, second] = [new Date('2026-01-05T09:00:00Z'), new Date('2026-01-12T09:00:00Z')]
    const startsAt = new Date('2025-12-29T09:00:00Z')
    const weekly = { key: 'one', cron: '0 9 * * MON' }
    await client.schedules.upsert(null, report, { ...weekly, startsAt })
    await client.schedules.backfill(null, report, 'one', { ...by, from: first, to: second })
    await client.schedules.backfill(null, report, 'one', { ...by, from: startsAt, to: startsAt })

    const previous = await runtime.rows(
      `select "facts" -> 'schedule' ->> 'previousAt' as "at" from "JobWork" order by "facts" ->> 'scheduledFor'`,
    )
    const expected = [null, startsAt.toISOString(), first.toISOString()]
    expect(previous.map(({ at }) => at)).toEqual(expected)
  })
})

describe('overlap', () => {
  it('counts work that was enqueued while a deletion waited for its transaction', async () => {
    await client.schedules.upsert(null, report, { key: 'one', cron: '0 * * * *' })
    await makeOlder(60)
    const other = new pg.Client(runtime.url)
    await other.connect()
    try {
      await other.query('begin')
      await client.schedules.trigger(other, report, 'one', by)
      const deletion = client.schedules.delete(null, report, 'one', by)
      await waitFor(() => countLockWaits(runtime))
      await other.query('commit')
      await deletion
    } finally {
      await other.end()
    }

    expect(new Set(await outcomes())).toEqual(new Set(['skipped']))
  })
})

describe('a program whose driver has its own parsers', () => {
  it('can change schedules, and backfill them', async () => {
    const texts = [pg.types.builtins.TIMESTAMPTZ, pg.types.builtins.INT8, pg.types.builtins.NUMERIC]
    const types: pg.CustomTypesConfig = {
      getTypeParser: (oid, format) =>
        texts.includes(oid) ? String : (pg.types.getTypeParser(oid, format) as () => unknown),
    }
    const pool = new pg.Pool({ connectionString: runtime.url, types })
    try {
      await client.schedules.upsert(null, report, { key: 'one', cron: '* * * * *' })
      await makeOlder(200)
      const upsert = () =>
        client.schedules.upsert(null, report, { key: 'one', cron: '0 0 1 1 *', endsAt })
      const endsAt = inMinutes(1_000_000)

      expect(await upsert()).toMatchObject({ kind: 'changed', nextAt: expect.any(Date) })
      expect(await upsert()).toMatchObject({ kind: 'unchanged', nextAt: expect.any(Date) })
      expect(await outcomes()).toContain('enqueued')
      await client.schedules.upsert(null, report, { key: 'one', cron: '0 0 * * *' })
      const past = { ...by, from: inMinutes(-4 * 24 * 60), to: inMinutes(-24 * 60) }
      expect(await client.schedules.backfill(null, report, 'one', past)).toMatchObject({
        enqueued: 3,
      })
    } finally {
      await pool.end()
    }
  })
})

describe('a schedule that a process cannot read', () => {
  beforeEach(async () => {
    await client.schedules.upsert(null, report, { key: 'one', cron: '0 * * * *' })
    await makeOlder(120)
    await runtime.rows(`update "JobSchedule" set "timeZone" = 'Mars/Phobos'`)
  })

  it('stays late while a worker postpones it, since when it was due', async () => {
    const [row] = await runtime.rows<{ nextAt: Date }>('select "nextAt" from "JobSchedule"')
    const late = { name: 'report', key: 'one', since: row?.nextAt.toISOString() }
    expect(await listLateSchedules(runtime.reader, new Date())).toEqual([late])

    await createScheduler().wake()

    expect(await listLateSchedules(runtime.reader, new Date())).toEqual([late])
    const { schedules } = await client.schedules.list({ state: 'late', limit: 10 })
    expect(schedules).toMatchObject([{ key: 'one', isLate: true }])
  })

  it('has what was due on record when a program changes it', async () => {
    await client.schedules.upsert(null, report, { key: 'one', cron: '0 0 1 1 *' })

    expect(await outcomes()).toEqual(['missed'])
  })
})

describe.each(['cursor', 'nextAt', 'dueAt', 'startsAt', 'endsAt', 'lastAt', 'pausedAt'])(
  'a schedule whose %s somebody has set by hand',
  (column) => {
    it.each(['0044-03-15Z BC', '-infinity', 'infinity'])(
      'to %s keeps no other of its job from its ticks',
      async (instant) => {
        const cron = '0 0 1 1 *'
        const both = ['one', 'two'].map((key) => ({ key, cron }))
        await client.schedules.upsertMany(null, report, both)
        await makeOlder(366 * 24 * 60)
        const set = `update "JobSchedule" set "${column}" = $1 where "key" = 'one'`
        await runtime.rows(set, [instant])

        const scheduler = createScheduler()
        await scheduler.wake()

        const ticks = await runtime.rows('select "key" from "JobTick"')
        expect(ticks).toContainEqual({ key: 'two' })
        const late = `select from "JobSchedule" where "dueAt" <= now() and "dueAt" > '-infinity'`
        expect(await runtime.rows(late)).toEqual([])
        await client.schedules.upsert(null, report, { key: 'one', cron: '0 1 1 1 *' })
        await client.schedules.delete(null, report, 'one', by)
      },
    )
  },
)

it('a payload with -0, which JSON does not have, does not change a schedule', async () => {
  const schedule = { key: 'one', cron: '0 0 1 1 *', payload: { n: -0, of: [-0] } }
  await client.schedules.upsert(null, report, schedule)
  const { kind } = await client.schedules.upsert(null, report, schedule)
  expect(kind).toBe('unchanged')
})

it('upsertMany names the schedule whose payload is refused, and its job', async () => {
  const fine = { key: 'one', cron: '0 0 1 1 *' }
  const refused = client.schedules.upsertMany(null, report, [
    fine,
    { ...fine, key: 'two', payload: 5 as never },
  ])
  await expect(refused).rejects.toThrow(/^schedules\[1\]\.payload of report: /)
})

describe('a key', () => {
  it.each(['.', '..'])('that no address can hold is refused: %s', async (key) => {
    const upsert = client.schedules.upsert(null, report, { key, cron: '0 * * * *' })
    await expect(upsert).rejects.toMatchObject({ argument: 'key' })
  })
})

describe('refused payloads', () => {
  it('of one job are told however many another has', async () => {
    await runtime.rows(
      `insert into "JobSchedule" ("name", "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "bytes",
         "cursor", "delayMs", "tzdata", "refusals", "pausedAt", "pauseReason")
       select name, n, '0 * * * *', 'UTC', 'once', 1, 'skip', 0, 0, now(), 0, '', 3, now(), 'does not fit'
       from (select 'invoice', generate_series(0, $1::int) union all select 'report', 1) one(name, n)`,
      [MAX_REFUSED],
    )

    const refused = await listRefusedSchedules(runtime.reader)

    expect(refused.map(({ name, count, isCut }) => ({ name, count, isCut }))).toEqual([
      { name: 'invoice', count: MAX_REFUSED, isCut: true },
      { name: 'report', count: 1, isCut: false },
    ])
  })
})
