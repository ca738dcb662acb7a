import { openForTests } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, JobError, RateLimited, type HandlersFor } from '../src/index.ts'
import { getWork, listDeadLetters } from '../src/client.ts'
import { openTestJobs, type TestRun } from '../src/testing.ts'
import type { PlainTransaction } from './fixtures/plainClient.ts'
import { usePlainClient } from './usePlainClient.ts'

const START = new Date('2031-03-04T05:06:07.000Z')
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const sendMail = defineJob({
  name: 'sendMail',
  payload: z.strictObject({ to: z.string(), subject: z.string().optional() }),
  retry: { limit: 2, delayMs: 5_000 },
})
const importOrders = defineJob({
  name: 'importOrders',
  dryRun: true,
  payload: z.strictObject({ orders: z.number() }),
})
const once = defineJob({ name: 'once', schedule: { cron: '0 * * * *' } })
const all = defineJob({
  name: 'all',
  schedule: { cron: '0 * * * *', missed: 'all', overlap: 'queue' },
})
const skip = defineJob({
  name: 'skip',
  schedule: { cron: '0 * * * *', missed: 'skip' },
})
const chain = defineJob({ name: 'chain' })
const limited = defineJob({
  name: 'limited',
  payload: z.strictObject({ place: z.number() }),
  rateLimit: { limit: 1, perMs: MINUTE_MS },
})
const guarded = defineJob({
  name: 'guarded',
  isDestructive: true,
  guard: { maxRows: 10 },
})
const ofTenant = z.strictObject({ tenant: z.string(), place: z.number() })
const askPartner = defineJob({
  name: 'askPartner',
  payload: ofTenant,
  partition: { key: ({ tenant }) => tenant },
  concurrency: { global: 2, perKey: 1 },
})
const applyChange = defineJob({
  name: 'applyChange',
  payload: ofTenant,
  partition: { key: ({ tenant }) => tenant, order: 'fifo' },
  retry: { limit: 1, delayMs: MINUTE_MS },
})
const jobs = [
  ...[sendMail, importOrders, once, all, skip, chain, limited, guarded, askPartner],
  applyChange,
] as const

/** How often the mail server refuses before it takes the mail. */
let refusals = 0
let onceFails = false
/** The tenant whose calls a service refuses. */
let refused: string | null = null
const refusal = new JobError('smtp_unavailable', 'Mail server refused the connection')
const handlers: HandlersFor<typeof jobs, PlainTransaction> = {
  async sendMail({ payload, run }) {
    if (refusals-- > 0) throw refusal
    return { to: payload.to, attempt: run.attempt }
  },
  async importOrders({ payload, batch, enqueue, now }) {
    await batch(async (tx) => {
      for (let order = 1; order <= payload.orders; order++) {
        await enqueue(tx, sendMail, { to: `${order}@example.com` })
      }
      return { imported: payload.orders }
    })
    return { at: now().toISOString() }
  },
  async once() {
    if (onceFails) throw refusal
  },
  all: async () => undefined,
  skip: async () => undefined,
  async chain({ batch, enqueue }) {
    await batch(async (tx) => {
      await enqueue(tx, chain, {})
      return {}
    })
  },
  limited: async () => undefined,
  async askPartner({ payload }) {
    if (payload.tenant === refused) throw new RateLimited({ retryAfter: '60', scope: 'key' })
  },
  async applyChange({ payload }) {
    if (payload.tenant === refused) throw refusal
  },
  async guarded({ guard }) {
    await guard({ total: async () => 100, due: async () => 50 })
  },
}

const { database, client } = usePlainClient()

const open = (now = START) =>
  openTestJobs({ databaseUrl: database.url, client, jobs, handlers, now })
const test = openForTests(() => open())

beforeEach(() => {
  refusals = 0
  onceFails = false
  refused = null
})

afterEach(() => test.reset())

describe('work that was enqueued', () => {
  it('is asserted, and run by drain', async () => {
    await client.$transaction((tx) => test.enqueue(tx, sendMail, { to: 'a@example.com' }))
    const [mail] = await test.assertEnqueued(sendMail, { to: 'a@example.com' })
    expect(mail).toMatchObject({ startAfter: START, priority: 0, trigger: 'queue', attempt: 1 })
    const [run] = await test.drain()
    expect(run).toEqual({
      id: mail?.workId,
      name: 'sendMail',
      status: 'success',
      trigger: 'queue',
      attempt: 1,
      scheduledFor: null,
      payload: { to: 'a@example.com' },
      details: { to: 'a@example.com', attempt: 1 },
      result: null,
      error: null,
      startedAt: START,
      endedAt: START,
    })
    await test.assertEnqueued(sendMail, {}, { count: 0 })
    expect(await test.drain()).toEqual([])
  })

  it('is not there if its transaction was rolled back', async () => {
    const rolledBack = client.$transaction(async (tx) => {
      await test.enqueue(tx, sendMail, { to: 'a@example.com' })
      throw new Error('rolled back')
    })
    await expect(rolledBack).rejects.toThrow('rolled back')
    await test.assertEnqueued(sendMail, {}, { count: 0 })
  })
})

describe('assertEnqueued', () => {
  beforeEach(() =>
    test.enqueueManyNow(sendMail, [
      { payload: { to: 'a@example.com', subject: 'Invoice' } },
      { payload: { to: 'b@example.com' }, options: { uniqueKey: 'b', priority: 3 } },
      { payload: { to: 'c@example.com' }, options: { startAfter: later(HOUR_MS) } },
    ]),
  )

  it('takes properties of the payload and of how it was enqueued', async () => {
    expect(await test.assertEnqueued(sendMail)).toHaveLength(3)
    await test.assertEnqueued(sendMail, { subject: 'Invoice' }, { count: 1 })
    await test.assertEnqueued(sendMail, {}, { uniqueKey: 'b', priority: 3, count: 1 })
    await test.assertEnqueued(sendMail, {}, { startAfter: later(HOUR_MS), count: 1 })
  })

  it('tells what waits when it finds nothing, or another count', async () => {
    const missing = test.assertEnqueued(sendMail, { to: 'd@example.com' })
    await expect(missing).rejects.toThrow(/d@example\.com[^]*a@example\.com[^]*c@example\.com/)
    await expect(missing).rejects.toMatchObject({ code: 'ERR_ASSERTION' })
    await expect(test.assertEnqueued(sendMail, {}, { count: 2 })).rejects.toThrow('count: 2')
    await expect(test.assertEnqueued(importOrders)).rejects.toThrow('What waits: nothing')
  })

  it('takes payloads of the job alone', async () => {
    const wrong = () => [
      // @ts-expect-error -- no such property
      test.assertEnqueued(sendMail, { too: 'a@example.com' }),
      // @ts-expect-error -- no text
      test.run(sendMail, { to: 1 }),
      // @ts-expect-error -- no job of these
      test.run(defineJob({ name: 'other' }), {}),
    ]
    expect(wrong).toBeTypeOf('function')
  })
})

describe('run', () => {
  it('gives what the handler returns, with the counts of its batches, and records it', async () => {
    const run = await test.run(importOrders, { orders: 2 })
    expect(run).toMatchObject({
      status: 'success',
      trigger: 'cli',
      payload: { orders: 2 },
      details: { imported: 2, batches: 1, at: START.toISOString() },
      startedAt: START,
    })
    expect(await runs('importOrders')).toMatchObject([{ id: run.id, status: 'success' }])
    await test.assertEnqueued(sendMail, {}, { count: 2 })
  })

  it("throws the handler's own error, and records that it failed", async () => {
    refusals = 1
    await expect(test.run(sendMail, { to: 'a@example.com' })).rejects.toBe(refusal)
    expect(await runs('sendMail')).toMatchObject([
      { status: 'failed', details: { error: { code: 'smtp_unavailable' } } },
    ])
    await test.assertEnqueued(sendMail, {}, { count: 0 })
  })

  it('refuses what its schema refuses, as enqueueing does', async () => {
    const wrong = test.run(sendMail, { to: 1 } as never)
    await expect(wrong).rejects.toMatchObject({ code: 'payload_invalid' })
    expect(await runs('sendMail')).toEqual([])
  })

  it('asks the guard', async () => {
    await expect(test.run(guarded, {})).rejects.toMatchObject({ code: 'guard_blocked' })
  })

  it('rehearses', async () => {
    const run = await test.run(importOrders, { orders: 2 }, { dryRun: true })
    expect(run.details).toMatchObject({ imported: 2 })
    await test.assertEnqueued(sendMail, {}, { count: 0 })
  })
})

describe('drain', () => {
  it('runs what handlers enqueue too, of several jobs what became due first', async () => {
    await test.enqueueNow(importOrders, { orders: 2 }, { startAfter: later(2_000) })
    await test.enqueueNow(sendMail, { to: 'first@example.com' }, { startAfter: later(1_000) })
    await test.enqueueNow(sendMail, { to: 'second@example.com' }, { startAfter: later(1_500) })
    await test.enqueueNow(importOrders, { orders: 0 }, { startAfter: later(3_000) })
    await test.advance(3_000)
    expect((await test.drain()).map(({ name, payload }) => [name, payload])).toEqual([
      ['sendMail', { to: 'first@example.com' }],
      ['sendMail', { to: 'second@example.com' }],
      ['importOrders', { orders: 2 }],
      ['importOrders', { orders: 0 }],
      ['sendMail', { to: '1@example.com' }],
      ['sendMail', { to: '2@example.com' }],
    ])
  })

  it('takes the work of one job as a worker does: by priority, and then as it became due', async () => {
    const items = [0, 1, 5, 1].map((priority, place) => ({
      payload: { to: `${place}@example.com` },
      options: { priority, startAfter: later(4_000 - 1_000 * place) },
    }))
    await test.enqueueManyNow(sendMail, items)
    await test.advance(4_000)
    expect((await test.drain()).map(({ details }) => details?.['to'])).toEqual(
      [2, 3, 1, 0].map((place) => `${place}@example.com`),
    )
  })

  it('tries again when the pause that the job wants is over, and then gives up', async () => {
    refusals = Infinity
    await test.enqueueNow(sendMail, { to: 'a@example.com' })
    const failed = { status: 'failed', error: { code: 'smtp_unavailable' } }
    expect(await test.drain()).toMatchObject([{ ...failed, attempt: 1 }])
    await test.assertEnqueued(sendMail, {}, { startAfter: later(5_000) })
    await test.advance(4_999)
    expect(await test.drain()).toEqual([])
    await test.advance(1)
    expect(await test.drain()).toMatchObject([{ ...failed, attempt: 2 }])
    await test.advance({ seconds: 10 })
    expect(await test.drain()).toMatchObject([{ ...failed, attempt: 3 }])
    await test.assertEnqueued(sendMail, {}, { count: 0 })
    await test.advance({ days: 1 })
    expect((await test.drain()).filter(({ name }) => name === 'sendMail')).toEqual([])
  })

  it('starts nothing after it has expired, retries included, and leaves no dead letter of it', async () => {
    const expiresAt = later(HOUR_MS)
    await test.enqueueNow(sendMail, { to: 'a@example.com' }, { expiresAt })
    expect(await test.drain()).toMatchObject([{ status: 'success' }])
    // It still starts at the instant itself. Since it fails then, it is not retried.
    refusals = 1
    const { workId } = await test.enqueueNow(sendMail, { to: 'b@example.com' }, { expiresAt })
    await test.enqueueNow(importOrders, { orders: 1 }, { expiresAt: later(HOUR_MS - 1) })
    await test.advance({ hours: 1 })
    const expired = { status: 'failed', details: { error: { code: 'expired' } } }
    const ended = (await test.drain()).filter(({ trigger }) => trigger === 'queue')
    expect(ended).toMatchObject([
      { name: 'sendMail', error: { code: 'smtp_unavailable' } },
      { name: 'importOrders', attempt: 1, ...expired },
    ])
    await test.advance({ minutes: 1 })
    expect(await test.drain()).toMatchObject([
      {
        name: 'sendMail',
        attempt: 2,
        ...expired,
        error: { message: `Not started: it was to be started by ${expiresAt.toISOString()}` },
      },
    ])
    expect(await listDeadLetters(test.reader, { limit: 10 })).toEqual({
      deadLetters: [],
      next: null,
    })
    expect(await getWork(test.reader, sendMail, workId)).toEqual({
      kind: 'failed',
      errorCode: 'expired',
    })
  })

  it('takes nothing of a queue that is paused, and all of it afterwards', async () => {
    const by = { actor: 'somebody', reason: 'the server is down' }
    await test.enqueueNow(sendMail, { to: 'a@example.com' })
    expect(await test.pauseQueue('sendMail', by)).toBe('paused')
    expect(await test.drain()).toEqual([])
    expect(await test.resumeQueue('sendMail', by)).toBe('resumed')
    expect(await test.drain()).toHaveLength(1)
  })

  it('says that a chain has no end', async () => {
    await test.enqueueNow(chain, {})
    await expect(test.drain({ maxRuns: 3 })).rejects.toThrow(
      /still due after 3 runs, the last of them of chain, chain, chain/,
    )
  })

  it('keeps to a rate limit by the clock of the test', async () => {
    for (const place of [1, 2]) await test.enqueueNow(limited, { place })
    expect(places(await test.drain())).toEqual([1])
    await test.advance({ minutes: 1 })
    expect(places(await test.drain())).toEqual([2])
  })
})

describe('limits and keys', () => {
  const put = async (job: typeof askPartner | typeof applyChange, ...tenants: string[]) => {
    for (const [place, tenant] of tenants.entries()) await test.enqueueNow(job, { tenant, place })
  }
  /** Which were started, with how they ended if they failed. */
  const drained = async () =>
    (await test.drain()).map(({ payload, error }) => {
      const { tenant, place } = payload as z.output<typeof ofTenant>
      return `${tenant} ${place}${error === null ? '' : ` ${error.code}`}`
    })

  it('hold a key back that a service refuses, by the clock of the test, then have one try', async () => {
    refused = 'a'
    await put(askPartner, 'a', 'a', 'b')
    expect((await drained()).toSorted()).toEqual(['a 0 rate_limited', 'b 2'])
    refused = null
    await test.advance({ seconds: 59 })
    expect(await drained()).toEqual([])
    await test.advance({ seconds: 1 })
    expect(await drained()).toEqual(['a 1', 'a 0'])
  })

  it('keep to the order of a key, behind what is tried again, and what was given up', async () => {
    refused = 'a'
    await put(applyChange, 'a', 'b', 'a', 'a')
    expect((await drained()).toSorted()).toEqual(['a 0 smtp_unavailable', 'b 1'])
    await test.advance({ minutes: 1 })
    expect(await drained()).toEqual(['a 0 smtp_unavailable'])
    refused = null
    expect(await drained()).toEqual([])
    await test.redriveDeadLetters('all', { actor: 'ada@example.com', reason: 'It takes mail' })
    expect(await drained()).toEqual(['a 0', 'a 2', 'a 3'])
  })
})

describe('advance', () => {
  const HOURS = [6, 7, 8].map((hour) => new Date(Date.UTC(2031, 2, 4, hour)))
  const scheduled = (ended: readonly TestRun[], name: string) =>
    ended.filter((run) => run.name === name).map(({ scheduledFor }) => scheduledFor)

  it('decides ticks that nobody saw by what the job says of them', async () => {
    await test.advance(new Date(Date.UTC(2031, 2, 4, 8, 30)))
    await test.assertEnqueued(once, {}, { count: 1 })
    const ended = await test.drain()
    expect(scheduled(ended, 'once')).toEqual(HOURS.slice(2))
    expect(scheduled(ended, 'all')).toEqual(HOURS)
    expect(scheduled(ended, 'skip')).toEqual([])
    expect(await ticks('once')).toEqual(['coalesced', 'coalesced', 'enqueued'])
    expect(await ticks('skip')).toEqual(['missed', 'missed', 'missed'])
  })

  it.each([
    ['waits for an instant', { startAfter: later(30 * 24 * HOUR_MS) }, 'enqueued'],
    ['is due', {}, 'skipped'],
  ])('has a tick beside work that %s %j %s', async (_, options, outcome) => {
    await test.enqueueNow(once, {}, options)
    await test.advance({ hours: 1 })
    expect(await ticks('once')).toEqual([outcome])
  })

  it.each([
    ['is to be retried', null, 'skipped'],
    ['was to be retried and is postponed', later(30 * 24 * HOUR_MS), 'enqueued'],
  ])('has a tick beside work that %s %s %s', async (_, startAfter, outcome) => {
    onceFails = true
    const { workId } = await test.enqueueNow(once, {})
    await test.advance(new Date(HOURS[0]!.getTime() - 1_000))
    expect(await test.drain()).toMatchObject([{ status: 'failed' }])
    const by = { actor: 'olga@example.com', reason: 'later' }
    const which = { job: once, ids: [workId] }
    if (startAfter) await test.postponeWork(which, { ...by, startAfter })
    await test.advance({ seconds: 2 })
    expect(await ticks('once')).toEqual([outcome])
  })

  it('finds each tick in time when it goes from one to the next', async () => {
    for (const hour of HOURS) {
      await test.advance(hour)
      expect(scheduled(await test.drain(), 'skip')).toEqual([hour])
    }
  })

  it('never goes back', async () => {
    await expect(test.advance(later(-1))).rejects.toThrow(RangeError)
    await expect(test.advance(Number.NaN)).rejects.toThrow(RangeError)
    expect(test.now()).toEqual(START)
  })

  it('decides whether it is too late to approve a run', async () => {
    const block = async () => {
      await test.enqueueNow(guarded, {})
      const [run] = await test.drain()
      return run?.id ?? ''
    }
    const [first, second] = [await block(), await block()]
    const by = { actor: 'olga@example.com', reason: 'checked' }
    await test.advance({ hours: 23 })
    expect(await test.approveRun(first, by)).toMatchObject({
      kind: 'approved',
      rows: 50,
    })
    await test.advance({ hours: 1, milliseconds: 1 })
    expect(await test.approveRun(second, by)).toEqual({ kind: 'tooLate' })
  })
})

describe('the schema', () => {
  it('is its own, also in the same database', async () => {
    const other = await open()
    await other.enqueueNow(sendMail, { to: 'a@example.com' })
    await test.assertEnqueued(sendMail, {}, { count: 0 })
    expect(await test.drain()).toEqual([])
    expect(await other.drain()).toHaveLength(1)
    await other.close()
  })

  it('is gone once it was closed, as is one that a killed process has left', async () => {
    const left = 'roundsman_test_abc_0123456789ab'
    await client.$executeRawUnsafe(`create schema "${left}"`)
    let name = ''
    {
      await using other = await open()
      name = other.schema
      expect(await schemas()).toContain(name)
    }
    const after = await schemas()
    expect(after).toContain(test.schema)
    expect(after).not.toContain(name)
    expect(after).not.toContain(left)
  })
})

const later = (ms: number) => new Date(START.getTime() + ms)

const places = (ended: readonly TestRun[]) =>
  ended.map(({ payload }) => (payload as { place: number }).place)

const rows = <Row>(text: string, ...values: unknown[]) =>
  client.$queryRawUnsafe<Row[]>(text.replaceAll('TEST', `"${test.schema}"`), ...values)

const runs = (name: string) => rows('select * from TEST."JobRun" where "name" = $1', name)

const ticks = async (name: string) =>
  (
    await rows<{ outcome: string }>(
      'select "outcome" from TEST."JobTick" where "name" = $1 order by "scheduledFor"',
      name,
    )
  ).map(({ outcome }) => outcome)

const schemas = async () =>
  (await rows<{ nspname: string }>('select nspname from pg_namespace')).map(
    ({ nspname }) => nspname,
  )
