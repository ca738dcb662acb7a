import { openForTests, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  listProblems,
  type KeyedSchedule,
  type KeyedSchedules,
  type UpsertedSchedule,
} from '../../src/client.ts'
import { defineJob, type HandlersFor, type RunSchedule } from '../../src/index.ts'
import { findLastActionOfJob } from '../../src/read/jobActions.ts'
import { listRescheduled } from '../../src/read/listSchedules.ts'
import { openTestJobs } from '../../src/testing.ts'
import { ticksSql, toDefinitions } from '../../src/tick/defineSchedules.ts'
import { createScheduler } from '../../src/tick/scheduler.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import { noClock } from '../fixtures/noClock.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { useOwnDatabase } from '../useOwnDatabase.ts'
import { usePlainClient } from '../usePlainClient.ts'
import { countLockWaits } from '../countLockWaits.ts'

/** A Thursday. On the 25th the clocks of Europe are set back. */
const START = new Date('2026-10-22T12:00:30.000Z')
const by = { actor: 'ada@example.com', reason: 'asked on the phone' }

const report = defineJob({
  name: 'report',
  payload: z.strictObject({ tenantId: z.number() }),
  retry: { limit: 1, delayMs: 60_000 },
  label: ({ tenantId }) => `Tenant ${tenantId}`,
})
const ping = defineJob({ name: 'ping', schedule: { cron: '0 0 1 1 *' } })
const statement = defineJob({
  name: 'statement',
  payload: z.strictObject({ tenantId: z.number() }),
  partition: { key: ({ tenantId }) => `tenant ${tenantId}`, order: 'fifo' },
})
const jobs = [report, ping, statement] as const

let seen: (RunSchedule | null)[] = []
let fails = false
const handlers: HandlersFor<typeof jobs, PlainTransaction> = {
  async report({ run }) {
    seen.push(run.schedule)
    if (fails) throw new Error('refused')
  },
  async ping({ run }) {
    seen.push(run.schedule)
  },
  async statement() {},
}

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({ databaseUrl: database.url, client, jobs, handlers, now: START }),
)
let schedules: KeyedSchedules
const own = useOwnDatabase(database, test)

beforeEach(async () => {
  seen = []
  fails = false
  await test.reset()
  ;({ schedules } = test)
})

const weekly = (tenantId: number, more: Partial<KeyedSchedule<typeof report>> = {}) => ({
  key: `tenant-${tenantId}`,
  cron: '0 9 * * MON',
  timeZone: 'Europe/Lisbon',
  payload: { tenantId },
  ...more,
})

const rows = async <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> =>
  (await own.query<Row & { [column: string]: unknown }>(text, values)).rows

/** The ledger, as `key instant outcome version`. */
const ledger = async () =>
  (
    await rows<{ key: string; at: Date; outcome: string; version: number }>(
      'select "key", "scheduledFor" as at, "outcome", "version" from "JobTick" order by "scheduledFor", "key"',
    )
  ).map(
    ({ key, at, outcome, version }) =>
      `${key} ${at.toISOString().slice(5, 16)} ${outcome} v${version}`,
  )

const actions = () =>
  rows<{ action: string; key: string; actor: string; reason: string | null }>(
    'select "action", "scheduleKey" as key, "actor", "reason" from "JobAction" order by ctid',
  )

/** Makes the schedules of tenants 1 and 2, whose payloads the job then refuses at three ticks. */
async function pauseByRefusals() {
  await schedules.upsertMany(
    null,
    report,
    [1, 2].map((id) => weekly(id, { cron: '0 * * * *' })),
  )
  await rows(`update "JobSchedule" set "payload" = '{"tenant": 1}'`)
  for (let hour = 0; hour < 3; hour++) await test.advance({ hours: 1 })
}

/** A worker of its own, which knows these jobs alone. */
const workerOf = (known: readonly (typeof jobs)[number][], tzdata?: string) =>
  createScheduler({
    jobs: known,
    database: own,
    workerId: 'other',
    log: containedLog({}),
    ...(tzdata !== undefined && { tzdata }),
  })

describe('a schedule of a customer', () => {
  it('is due at the hour of his zone, through a change of clocks, with his payload', async () => {
    const made = await schedules.upsert(null, report, weekly(1))
    await schedules.upsert(null, report, weekly(2, { timeZone: 'Asia/Tokyo' }))
    expect(made).toEqual({
      kind: 'created',
      version: 1,
      nextAt: new Date('2026-10-26T09:00:00.000Z'),
    })
    await test.advance({ days: 14 })

    expect(await ledger()).toEqual([
      'tenant-2 10-26T00:00 missed v1',
      'tenant-1 10-26T09:00 missed v1',
      'tenant-2 11-02T00:00 missed v1',
      'tenant-1 11-02T09:00 missed v1',
    ])
    await test.advance(new Date('2026-11-09T09:00:00Z'))
    const runs = await test.drain()
    expect(runs.map(({ payload }) => payload)).toEqual([{ tenantId: 2 }, { tenantId: 1 }])
    expect(runs.map(({ scheduledFor }) => scheduledFor?.toISOString())).toEqual([
      '2026-11-09T00:00:00.000Z',
      '2026-11-09T09:00:00.000Z',
    ])
  })

  it('tells its handler the key, the zone and the instant before', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 9 * * *' }))
    await test.advance(new Date('2026-10-23T08:00:00Z'))
    await test.drain()
    await test.advance(new Date('2026-10-24T08:00:00Z'))
    const [run] = await test.drain()
    const of = { key: 'tenant-1', timeZone: 'Europe/Lisbon' }
    expect(seen).toEqual([
      { ...of, previousAt: null },
      { ...of, previousAt: new Date('2026-10-23T08:00:00Z') },
    ])
    expect(run?.trigger).toBe('schedule')
    await test.enqueueNow(report, { tenantId: 3 })
    await test.drain()
    expect(seen.at(-1)).toBeNull()
  })

  it('whose job has keys makes work of the key of its payload, which takes turns there', async () => {
    const entry = { ...weekly(7), cron: '0 9 * * *', missed: 'all', overlap: 'allow' } as const
    await schedules.upsert(null, statement, entry)
    await test.advance({ days: 1 })
    await test.advance({ days: 1 })
    expect(await rows('select "name", "key" from "JobWork"')).toEqual([
      { name: 'statement', key: 'tenant 7' },
      { name: 'statement', key: 'tenant 7' },
    ])
  })

  it('has its work labelled, and its ledger names the work', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 13 * * *', timeZone: 'UTC' }))
    await test.advance({ hours: 1 })
    expect(
      await rows(
        `select work."label", tick."workId" = work."id" as same, tick."workerId" from "JobWork" work, "JobTick" tick`,
      ),
    ).toEqual([{ label: 'Tenant 1', same: true, workerId: 'test' }])
  })

  it('exists if and only if the transaction commits', async () => {
    await client
      .$transaction(async (tx) => {
        await schedules.upsert(tx, report, weekly(1))
        throw new Error('rolled back')
      })
      .catch(() => undefined)
    expect(await schedules.get({ name: 'report', key: 'tenant-1' })).toBeNull()
    await client.$transaction((tx) => schedules.upsert(tx, report, weekly(1)))
    expect(await schedules.get({ name: 'report', key: 'tenant-1' })).toMatchObject({
      cron: '0 9 * * MON',
      nextAt: '2026-10-26T09:00:00.000Z',
      version: 1,
    })
  })

  it('is held up by an open transaction alone, and holds up no other', async () => {
    await schedules.upsertMany(null, report, [
      weekly(1, { cron: '0 * * * *' }),
      weekly(2, { cron: '0 * * * *' }),
    ])
    await client.$transaction(async (tx) => {
      await schedules.pause(tx, report, 'tenant-1', by)
      await test.advance({ hours: 1 })
      expect(await ledger()).toEqual(['tenant-2 10-22T13:00 enqueued v1'])
    })
    await test.advance(0)
    expect(await ledger()).toEqual([
      'tenant-1 10-22T13:00 skipped v1',
      'tenant-2 10-22T13:00 enqueued v1',
    ])
  })

  it('is skipped while its own work has not ended, whatever that of others does', async () => {
    const often = { cron: '*/10 * * * *' }
    await schedules.upsertMany(null, report, [
      weekly(1, often),
      weekly(2, often),
      weekly(3, { ...often, overlap: 'allow' }),
    ])
    await test.advance({ minutes: 10 })
    const [first] = await test.enqueued(report)
    expect(first).toBeDefined()
    await test.cancelWork({ job: report, ids: [(await enqueuedOf(2)) as string] }, by)
    await test.advance({ minutes: 10 })
    expect(await ledger()).toEqual([
      'tenant-1 10-22T12:10 enqueued v1',
      'tenant-2 10-22T12:10 enqueued v1',
      'tenant-3 10-22T12:10 enqueued v1',
      'tenant-1 10-22T12:20 skipped v1',
      'tenant-2 10-22T12:20 enqueued v1',
      'tenant-3 10-22T12:20 enqueued v1',
    ])
  })

  it('is skipped while a run is to be retried, and not for work that somebody has postponed', async () => {
    await schedules.upsertMany(null, report, [weekly(1, { cron: '0 * * * *' })])
    fails = true
    await test.advance({ minutes: 60 })
    await test.drain()
    await rows(
      `update "JobSchedule" set "nextAt" = "nextAt" - interval '59 minutes', "dueAt" = "dueAt" - interval '59 minutes'`,
    )
    await test.advance({ seconds: 30 })
    expect((await ledger()).at(-1)).toBe('tenant-1 10-22T13:01 skipped v1')
    await test.postponeWork(
      { job: report, all: true },
      { ...by, startAfter: new Date('2026-10-23T00:00:00Z') },
    )
    await test.advance({ hours: 1 })
    expect((await ledger()).at(-1)).toBe('tenant-1 10-22T14:00 enqueued v1')
  })
})

const enqueuedOf = async (tenantId: number) =>
  (
    await rows<{ id: string }>(
      `select "workId" as id from "JobTick" where "key" = $1 order by "scheduledFor" desc limit 1`,
      [`tenant-${tenantId}`],
    )
  )[0]?.id

describe('a change', () => {
  const hourly = (more: Partial<KeyedSchedule<typeof report>> = {}) =>
    weekly(1, { cron: '0 * * * *', timeZone: 'UTC', ...more })

  /** Time passes, and nobody decides what becomes due. */
  const pass = async (at: string) => {
    await rows(`update roundsman."testTime" set at = $1`, [at])
  }

  it('that changes them decides what is due by what it was, in the same transaction', async () => {
    await schedules.upsert(null, report, hourly())
    await pass('2026-10-22T13:00:05Z')
    await client
      .$transaction(async (tx) => {
        await schedules.upsert(tx, report, hourly({ cron: '30 * * * *' }))
        throw new Error('rolled back')
      })
      .catch(() => undefined)
    expect(await ledger()).toEqual([])
    const changed = await schedules.upsert(null, report, hourly({ cron: '30 * * * *' }))
    expect(changed).toMatchObject({ version: 2, nextAt: new Date('2026-10-22T13:30:00Z') })
    expect(await ledger()).toEqual(['tenant-1 10-22T13:00 enqueued v1'])
    expect(await test.enqueued(report)).toHaveLength(1)
  })

  it('that changes nothing changes no version, and is not on record', async () => {
    await schedules.upsert(null, report, hourly())
    expect(await schedules.upsert(null, report, hourly())).toMatchObject({
      kind: 'unchanged',
      version: 1,
    })
    expect(await actions()).toHaveLength(1)
  })

  it('is on record: from what to what, by whom, and why', async () => {
    await schedules.upsert(null, report, hourly())
    await schedules.upsert(
      null,
      report,
      hourly({ cron: '0 7 * * *', timeZone: 'Asia/Tokyo', jitterMs: 5_000, ...by }),
    )
    await schedules.pause(null, report, 'tenant-1', by)
    await schedules.resume(null, report, 'tenant-1', by)
    await schedules.delete(null, report, 'tenant-1', by)
    const after = '0 7 * * * in Asia/Tokyo, jitter 5000 ms'
    const { reason, actor } = by
    const of = { key: 'tenant-1', actor }
    expect(await actions()).toEqual([
      {
        action: 'reschedule',
        key: 'tenant-1',
        actor: 'program',
        reason: '0 * * * * in UTC, before: none',
      },
      { ...of, action: 'reschedule', reason: `${after}, before: 0 * * * * in UTC; ${reason}` },
      { ...of, action: 'pause', reason },
      { ...of, action: 'resume', reason },
      { ...of, action: 'reschedule', reason: `none, before: ${after}; ${reason}` },
    ])
  })

  it("is not taken for one of the code's schedule", async () => {
    await schedules.upsert(null, ping, { key: 'tenant-1', cron: '0 * * * *' })
    await schedules.pause(null, ping, 'tenant-1', by)
    const names = ['ping']
    expect(await listRescheduled(test.reader, names, new Date(0))).toEqual([])
    expect(await findLastActionOfJob(test.reader, 'ping', ['reschedule', 'pause'])).toBeNull()
  })

  it('is made only to the version that was read', async () => {
    await schedules.upsert(null, report, hourly({ ifVersion: 0 }))
    const refused = { code: 'schedule_changed', details: { key: 'tenant-1', version: 1 } }
    await expect(
      schedules.upsert(null, report, hourly({ ifVersion: 0, cron: '1 * * * *' })),
    ).rejects.toMatchObject(refused)
    await expect(
      schedules.delete(null, report, 'tenant-1', { ...by, ifVersion: 2 }),
    ).rejects.toMatchObject(refused)
    await client.$transaction(async (tx) => {
      await expect(
        schedules.upsertMany(tx, report, [hourly({ ifVersion: 5 }), weekly(2)]),
      ).rejects.toMatchObject(refused)
    })
    expect((await schedules.list({ limit: 10 })).schedules.map(({ key }) => key)).toEqual([
      'tenant-1',
    ])
    await schedules.upsert(null, report, hourly({ ifVersion: 1, cron: '1 * * * *' }))
  })

  it('is not made to one that was deleted and made anew since it was read', async () => {
    await schedules.upsert(null, report, hourly())
    await schedules.upsert(null, report, hourly({ cron: '1 * * * *' }))
    await schedules.delete(null, report, 'tenant-1', by)
    // Beside one that is there already, and behind a deletion that commits after it has begun.
    await schedules.upsert(null, report, weekly(2))
    let made: Promise<UpsertedSchedule[]> | undefined
    await client.$transaction(async (tx) => {
      await schedules.delete(tx, report, 'tenant-2', by)
      made = schedules.upsertMany(null, report, [hourly({ ifVersion: 0 }), weekly(2)])
      await waitFor(() => countLockWaits({ rows }))
    })
    const versions = (await made)?.map(({ version }) => version)
    expect(versions).toEqual([4, 4])
    for (const ifVersion of [1, 2])
      await expect(
        schedules.upsert(null, report, hourly({ ifVersion, cron: '2 * * * *' })),
      ).rejects.toMatchObject({ code: 'schedule_changed', details: { version: 4 } })
  })

  it('of two at once comes after the other, and neither loses a tick', async () => {
    await schedules.upsert(null, report, hourly({ overlap: 'allow' }))
    await pass('2026-10-22T13:00:05Z')
    await Promise.all([
      schedules.upsert(null, report, hourly({ cron: '20 * * * *', overlap: 'allow' })),
      schedules.upsert(null, report, hourly({ cron: '40 * * * *', overlap: 'allow' })),
      workerOf([report]).wake(),
    ])
    expect((await ledger()).map((line) => line.slice(0, -1))).toEqual([
      'tenant-1 10-22T13:00 enqueued v',
    ])
    expect((await schedules.get({ name: 'report', key: 'tenant-1' }))?.version).toBe(3)
  })

  it('of many is made in one order, whoever begins', async () => {
    const many = Array.from({ length: 200 }, (_, at) => weekly(at, { cron: '0 * * * *' }))
    await Promise.all([
      schedules.upsertMany(null, report, many),
      schedules.upsertMany(null, report, many.toReversed()),
      schedules.upsertMany(
        null,
        report,
        many.map((one) => ({ ...one, cron: '30 * * * *' })),
      ),
    ])
    const versions = await rows(
      'select distinct "version" from "JobSchedule" where "name" = \'report\'',
    )
    expect(versions.length).toBe(1)
  })
})

describe('paused', () => {
  it('it can be triggered, and one that runs so is not run beside itself', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *' }))
    await schedules.pause(null, report, 'tenant-1', by)
    const asked = await schedules.trigger(null, report, 'tenant-1', by)
    await schedules.resume(null, report, 'tenant-1', by)
    const [work] = await test.enqueued(report)
    expect(asked).toEqual({ kind: 'requested', workId: work?.workId })
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:00Z'`)
    await workerOf([report]).wake()
    expect(await ledger()).toEqual(['tenant-1 10-22T13:00 skipped v1'])
    await test.drain()
    expect(seen).toEqual([{ key: 'tenant-1', timeZone: 'Europe/Lisbon', previousAt: null }])
    expect((await actions()).map(({ action }) => action)).toEqual([
      'reschedule',
      'pause',
      'run',
      'resume',
    ])
  })
})

describe('a payload that no longer fits', () => {
  it('pauses the schedule when the job has refused it three times in a row', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *' }))
    await rows(`update "JobSchedule" set "payload" = '{"tenant": 1}'`)
    await test.advance({ hours: 1 })
    await test.advance({ hours: 1 })
    expect((await schedules.get({ name: 'report', key: 'tenant-1' }))?.pausedAt).toBeNull()
    await test.advance({ hours: 1 })
    expect(await test.enqueued(report)).toEqual([])
    expect(await schedules.get({ name: 'report', key: 'tenant-1' })).toMatchObject({
      isRefused: true,
      pausedBy: 'test',
      pauseReason: 'the payload does not fit',
    })
    expect(await actions()).toMatchObject([{ action: 'reschedule' }, { action: 'pause' }])
    expect((await schedules.list({ limit: 10, state: 'refused' })).schedules).toHaveLength(1)

    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *' }))
    expect(await schedules.get({ name: 'report', key: 'tenant-1' })).toMatchObject({
      isRefused: false,
      pausedAt: null,
    })
    await test.advance({ hours: 1 })
    expect(await test.enqueued(report)).toHaveLength(1)
  })

  it('ends the pause when the latest version takes it again, unless a person has paused the schedule too', async () => {
    await pauseByRefusals()
    expect(await schedules.pause(null, report, 'tenant-2', by)).toBe('paused')
    expect(await schedules.pause(null, report, 'tenant-2', by)).toBe('alreadyPaused')
    await rows(`update "JobSchedule" set "payload" = '{"tenantId": 1}'`)
    await test.advance({ hours: 1 })
    expect(await test.enqueued(report)).toHaveLength(1)
    expect(await schedules.get({ name: 'report', key: 'tenant-1' })).toMatchObject({
      isRefused: false,
      pausedAt: null,
    })
    expect(await schedules.get({ name: 'report', key: 'tenant-2' })).toMatchObject({
      isRefused: false,
      pausedBy: by.actor,
    })
    expect((await actions()).at(-1)).toMatchObject({ action: 'resume', actor: 'test' })
  })

  it('is enqueued all the same by a worker of an earlier version', async () => {
    await rows(
      `insert into "JobWorker" ("id", "heartbeatAt", "startedAt", "version", "lanes")
       values ('other', '9999-01-01Z', now(), '1', '{"report": 1}'),
              ('later', '9999-01-01Z', now() + interval '1 s', '2', '{"report": 1}')`,
    )
    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *' }))
    await rows(`update "JobSchedule" set "payload" = '{"tenant": 1}'`)
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:00Z'`)
    await workerOf([report]).wake()
    expect(await ledger()).toEqual(['tenant-1 10-22T13:00 enqueued v1'])
    await rows(`delete from "JobWorker" where "id" in ('other', 'later')`)
  })
})

describe('what is wrong', () => {
  const problems = async (known: typeof jobs | readonly [] = jobs) =>
    (await listProblems(test.reader, known, test.now())).problems.filter(
      ({ kind }) => kind === 'late' || kind === 'schedulesRefused',
    )

  it('is a tick that nobody has decided, also of a job that has left the code', async () => {
    await schedules.upsertMany(null, report, [
      weekly(1, { cron: '0 * * * *' }),
      weekly(2, { cron: '30 23 * * *' }),
    ])
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:59Z'`)
    const at = async (iso: string) => {
      const { problems: found } = await listProblems(test.reader, [], new Date(iso))
      return found.filter(({ kind }) => kind === 'late')
    }
    const late = {
      kind: 'late',
      jobs: ['report'],
      key: 'tenant-1',
      since: '2026-10-22T13:00:00.000Z',
    }
    expect(await at('2026-10-22T13:00:59Z')).toEqual([])
    expect(await at('2026-10-22T13:01:01Z')).toMatchObject([late])
    await workerOf([report]).wake()
    expect(await at('2026-10-22T13:01:01Z')).toEqual([])
  })

  it('is a payload for which a schedule is paused, until somebody changes it', async () => {
    await pauseByRefusals()
    expect(await problems()).toMatchObject([
      {
        kind: 'schedulesRefused',
        jobs: ['report'],
        key: expect.stringMatching(/^tenant-[12]$/),
        since: '2026-10-22T15:00:30.000Z',
        count: 2,
        isCut: false,
      },
    ])
    await schedules.resume(null, report, 'tenant-1', by)
    await schedules.upsert(null, report, weekly(2, { cron: '0 * * * *' }))
    expect(await problems()).toEqual([])
  })
})

describe('a worker', () => {
  it('whose schedules are all due later looks at one place of an index, however many there are', async () => {
    const many = Array.from({ length: 2_000 }, (_, at) => weekly(at))
    await schedules.upsertMany(null, report, many)
    await rows('analyze "JobSchedule"')
    const found = await rows<{ 'QUERY PLAN': string }>(
      `explain (analyze, costs off, timing off, summary off) select ${ticksSql('$1')} as seen`,
      [toDefinitions([report])],
    )
    const plan = found.map((line) => line['QUERY PLAN']).join('\n')
    expect(plan.match(/Index.* Scan using "JobSchedule_name_lookAt_idx"/g)).toHaveLength(1)
    expect(plan).not.toMatch(/Seq Scan|Rows Removed|rows=2000/)
  })

  it('decides ticks of its own jobs alone', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *' }))
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:00Z'`)
    await workerOf([ping]).wake()
    expect(await ledger()).toEqual([])
    await workerOf([report]).wake()
    expect(await ledger()).toHaveLength(1)
  })

  it('of many decides each tick once, however many are due', async () => {
    const many = Array.from({ length: 1_300 }, (_, at) => weekly(at, { cron: '0 * * * *' }))
    await schedules.upsertMany(null, report, many)
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:00Z'`)
    const workers = [workerOf([report]), workerOf([report]), workerOf([report])]
    await Promise.all(workers.map((worker) => worker.wake()))
    expect(await ledger()).toHaveLength(1_300)
    expect(await rows('select from "JobWork"')).toHaveLength(1_300)
  })

  it('passes over a schedule that it cannot read, which stays due', async () => {
    await schedules.upsertMany(null, report, [
      weekly(1, { cron: '0 * * * *' }),
      weekly(2, { cron: '0 * * * *' }),
    ])
    await rows(`update "JobSchedule" set "timeZone" = 'Mars/Olympus' where "key" = 'tenant-1'`)
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:00:00Z'`)
    await workerOf([report]).wake()
    expect(await ledger()).toEqual(['tenant-2 10-22T13:00 enqueued v1'])
    await rows(`update "JobSchedule" set "timeZone" = 'UTC'`)
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:02:00Z'`)
    await workerOf([report]).wake()
    expect(await ledger()).toHaveLength(2)
  })

  it('with later rules of time zones moves the next tick, and says so; one with earlier rules does not', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 9 * * *' }))
    await rows(
      `update "JobSchedule" set "tzdata" = '2020a', "nextAt" = "nextAt" + interval '1 hour', "dueAt" = "dueAt" + interval '1 hour'`,
    )
    const earlier = workerOf([report], '2019c')
    await earlier.start(noClock)
    const next = async () => (await schedules.get({ name: 'report', key: 'tenant-1' }))?.nextAt
    expect(await next()).toBe('2026-10-23T09:00:00.000Z')
    const later = workerOf([report], '2020b')
    await later.start(noClock)
    await waitFor(async () => (await next()) === '2026-10-23T08:00:00.000Z')
    await earlier.stop()
    await later.stop()
    expect((await actions()).at(-1)).toEqual({
      action: 'reschedule',
      key: 'tenant-1',
      actor: 'other',
      reason:
        'next at 2026-10-23T08:00:00.000Z, before: 2026-10-23T09:00:00.000Z, by the time zones of 2020b, before: 2020a',
    })
  })
})

describe('jitter', () => {
  it('spreads the work of one instant, always in the same way, and names the instant', async () => {
    const many = Array.from({ length: 100 }, (_, at) =>
      weekly(at, { cron: '0 * * * *', jitterMs: 600_000 }),
    )
    await schedules.upsertMany(null, report, many)
    const delays = () =>
      rows<{ key: string; delay: number }>(
        `select "key", "delayMs"::int as delay from "JobSchedule" where "key" <> '' order by "key"`,
      )
    const spread = await delays()
    expect(new Set(spread.map(({ delay }) => delay)).size).toBeGreaterThan(95)
    expect(Math.max(...spread.map(({ delay }) => delay))).toBeLessThanOrEqual(600_000)
    await test.advance(new Date('2026-10-22T13:05:00Z'))
    const early = spread.filter(({ delay }) => delay <= 300_000)
    expect(early.length).toBeGreaterThan(20)
    expect(early.length).toBeLessThan(80)
    expect(await ledger()).toEqual(early.map(({ key }) => `${key} 10-22T13:00 enqueued v1`))
    await test.advance(new Date('2026-10-22T13:10:00Z'))
    expect(await ledger()).toHaveLength(100)
    await schedules.upsertMany(
      null,
      report,
      many.map((one) => ({ ...one, payload: { tenantId: 5 } })),
    )
    expect(await delays()).toEqual(spread)
  })
})

describe('a backfill', () => {
  it('of over 10,000 instants is refused before anything is written, and one of 10,000 is made', async () => {
    const minutely = { cron: '* * * * *', timeZone: 'UTC', overlap: 'allow' } as const
    await schedules.upsert(null, report, weekly(1, minutely))
    const to = new Date('2026-10-22T12:00:00Z')
    const backfill = (ticks: number) => {
      const from = new Date(to.getTime() - (ticks - 1) * 60_000)
      return schedules.backfill(null, report, 'tenant-1', { ...by, from, to })
    }
    await expect(backfill(10_001)).rejects.toThrow(
      'to is too far from from: there are over 10,000 ticks in between; do it in parts',
    )
    expect(await ledger()).toEqual([])
    expect(await actions()).toHaveLength(1)
    expect(await backfill(10_000)).toEqual({ kind: 'backfilled', enqueued: 10_000, kept: 0 })
  })

  it('enqueues instants without a row, and those that got no work, once', async () => {
    await schedules.upsert(null, report, weekly(1, { cron: '0 * * * *', timeZone: 'UTC' }))
    await test.advance({ hours: 1 })
    await test.drain()
    await schedules.pause(null, report, 'tenant-1', by)
    await test.advance({ hours: 2 })
    const range = {
      from: new Date('2026-10-22T10:30:00Z'),
      to: new Date('2026-10-22T20:00:00Z'),
    }
    expect(await schedules.backfill(null, report, 'tenant-1', { ...by, ...range })).toEqual({
      kind: 'backfilled',
      enqueued: 4,
      kept: 1,
    })
    expect(await schedules.backfill(null, report, 'tenant-1', { ...by, ...range })).toEqual({
      kind: 'backfilled',
      enqueued: 0,
      kept: 5,
    })
    const { ticks } = await schedules.ticks({ name: 'report', key: 'tenant-1', limit: 10 })
    expect(
      ticks.map(({ scheduledFor, outcome, reason }) => [
        scheduledFor.slice(11, 13),
        outcome,
        reason,
      ]),
    ).toEqual([
      ['15', 'enqueued', 'backfilled by ada@example.com, before: skipped, paused'],
      ['14', 'enqueued', 'backfilled by ada@example.com, before: skipped, paused'],
      ['13', 'enqueued', null],
      ['12', 'enqueued', 'backfilled by ada@example.com'],
      ['11', 'enqueued', 'backfilled by ada@example.com'],
    ])
    const runs = await test.drain()
    expect(runs.map(({ scheduledFor }) => scheduledFor?.toISOString().slice(11, 13))).toEqual([
      '11',
      '12',
      '14',
      '15',
    ])
  })

  it('divides a row that stands for many ticks', async () => {
    await schedules.upsert(
      null,
      report,
      weekly(1, { cron: '0 * * * *', timeZone: 'UTC', missed: 'skip' }),
    )
    await test.advance({ hours: 150 })
    const before = await tally()
    expect(before).toHaveLength(101)
    const range = {
      from: new Date('2026-10-22T20:00:00Z'),
      to: new Date('2026-10-22T22:00:00Z'),
    }
    expect(await schedules.backfill(null, report, 'tenant-1', { ...by, ...range })).toEqual({
      kind: 'backfilled',
      enqueued: 3,
      kept: 0,
    })
    const after = await tally()
    expect(after.slice(0, 5)).toEqual([
      { from: '22T13', to: '22T19', count: 7, outcome: 'missed' },
      { from: '22T20', to: null, count: 1, outcome: 'enqueued' },
      { from: '22T21', to: null, count: 1, outcome: 'enqueued' },
      { from: '22T22', to: null, count: 1, outcome: 'enqueued' },
      { from: '22T23', to: '24T14', count: 40, outcome: 'missed' },
    ])
    expect(after.slice(5)).toEqual(before.slice(1))
    const first = new Date('2026-10-22T13:00:00Z')
    await schedules.backfill(null, report, 'tenant-1', { ...by, from: first, to: first })
    expect((await tally()).slice(0, 2)).toEqual([
      { from: '22T13', to: null, count: 1, outcome: 'enqueued' },
      { from: '22T14', to: '22T19', count: 6, outcome: 'missed' },
    ])
  })

  const tally = async () =>
    (
      await rows<{ from: Date; to: Date | null; count: number; outcome: string }>(
        'select "scheduledFor" as from, "through" as to, "count", "outcome" from "JobTick" order by 1',
      )
    ).map(({ from, to, ...more }) => ({
      from: from.toISOString().slice(8, 13),
      to: to?.toISOString().slice(8, 13) ?? null,
      ...more,
    }))
})

describe('what cannot be meant', () => {
  it.each<[string, object, string | RegExp]>([
    ['a cron that is none', { cron: 'x' }, /^cron cannot be used: "x" is not a cron expression/],
    ['a zone that is none', { timeZone: 'Mars' }, /^timeZone cannot be used: "Mars" is not/],
    ['a cron that is never due', { cron: '0 0 31 2 *' }, /^cron cannot be used: .* is never due/],
    ['seconds', { cron: '*/10 * * * * *' }, /^cron names more than one instant in a minute/],
    ['a long key', { key: 'ü'.repeat(101) }, 'key must have at most 200 bytes'],
    ['a queue', { overlap: 'queue' }, /^overlap 'queue' is for schedules in code; .*order: 'fifo'/],
    ['another overlap', { overlap: 'wait' }, /^overlap must be one of skip, allow, not "wait"$/],
    ['all that overlaps', { missed: 'all' }, /^missed 'all' wants a run for each tick/],
    ['an end before the start', { startsAt: START, endsAt: new Date(0) }, /^endsAt must not/],
    ['jitter', { jitterMs: 302_400_000 }, /^jitterMs must be less than .* at most 302399999$/],
    ['a long payload', { payload: { tenantId: 1, x: 'x'.repeat(70_000) } }, /^payload of report: /],
    ['an actor', { actor: 5 }, /^actor must be a text/],
  ])('%s is refused by name, and nothing is written', async (_what, part, message) => {
    const entry = { ...weekly(1), ...part } as never
    await expect(schedules.upsert(null, report, entry)).rejects.toThrow(message)
    const many = schedules.upsertMany(null, report, [weekly(2), entry])
    await expect(many).rejects.toThrow(/^schedules\[1\]\./)
    expect(await rows(`select from "JobSchedule" where "key" <> ''`)).toEqual([])
    expect(await actions()).toEqual([])
  })

  it("the code's own schedule is refused by a code of its own", async () => {
    await expect(
      schedules.upsert(null, ping, { key: '', cron: '* * * * *' }),
    ).rejects.toMatchObject({ code: 'schedule_owned_by_code' })
    await expect(schedules.pause(null, ping, '', by)).rejects.toMatchObject({
      code: 'schedule_owned_by_code',
    })
  })

  it('a key twice is refused', async () => {
    await expect(
      schedules.upsertMany(null, report, [weekly(1), weekly(2), weekly(1)]),
    ).rejects.toThrow('schedules[2].key is that of another in this call: "tenant-1"')
  })

  it('seconds are taken where they are allowed', async () => {
    const often = weekly(1, { cron: '*/10 * * * * *', allowSeconds: true })
    expect(await schedules.upsert(null, report, often)).toMatchObject({
      nextAt: new Date('2026-10-22T12:00:40.000Z'),
    })
  })
})

describe('a list', () => {
  it('has pages in the order of keys, and finds keys by how they begin', async () => {
    await schedules.upsertMany(
      null,
      report,
      [11, 2, 1, 12].map((id) => weekly(id)),
    )
    await schedules.upsert(null, ping, { key: 'tenant-1', cron: '0 * * * *' })
    const page = await schedules.list({ limit: 3 })
    expect(page.schedules.map(({ name, key }) => `${name} ${key}`)).toEqual([
      'ping tenant-1',
      'report tenant-1',
      'report tenant-11',
    ])
    const rest = await schedules.list({ limit: 3, after: page.next! })
    expect(rest.schedules.map(({ key }) => key)).toEqual(['tenant-12', 'tenant-2'])
    expect(rest.next).toBeNull()
    const found = await schedules.list({ limit: 10, name: 'report', search: 'tenant-1' })
    expect(found.schedules.map(({ key }) => key)).toEqual(['tenant-1', 'tenant-11', 'tenant-12'])
  })

  it('says which are paused and which are late', async () => {
    await schedules.upsertMany(null, report, [weekly(1, { cron: '0 * * * *' }), weekly(2)])
    await schedules.pause(null, report, 'tenant-2', by)
    await rows(`update roundsman."testTime" set at = '2026-10-22T13:01:01Z'`)
    const keys = async (state: 'paused' | 'late') =>
      (await schedules.list({ limit: 10, state })).schedules.map(({ key }) => key)
    expect(await keys('paused')).toEqual(['tenant-2'])
    expect(await keys('late')).toEqual(['tenant-1'])
  })
})

it('a preview shows the instants as the clocks of the zone do', () => {
  const after = new Date('2026-10-24T12:00:00Z')
  const of = { cron: '30 1 * * *', timeZone: 'Europe/Lisbon', after, count: 2 }
  expect(schedules.preview(of)).toEqual([
    {
      at: new Date('2026-10-25T00:30:00Z'),
      local: '2026-10-25 01:30:00',
      offset: '+01:00',
      mark: 'repeatedHour',
    },
    {
      at: new Date('2026-10-26T01:30:00Z'),
      local: '2026-10-26 01:30:00',
      offset: '+00:00',
      mark: null,
    },
  ])
  expect(() => schedules.preview({ cron: 'x' })).toThrow(/^cron cannot be used/)
})
