import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, defineLimit, JobError, RateLimited, type HandlersFor } from '../../src/index.ts'
import { readRefusal } from '../../src/job/rateLimited.ts'
import { decideNext } from '../../src/run/afterFailure.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createTestSchema } from '../../src/tables/testSchema.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

const stripe = defineLimit({ name: 'stripe', global: 20 })
const sync = defineJob({
  name: 'sync',
  payload: z.object({ tenant: z.string() }),
  partition: { key: ({ tenant }) => tenant },
  retry: { limit: 0 },
  limits: [stripe],
})
const START = new Date('2026-11-24T09:00:00.000Z')

let refusal: (() => unknown) | null = null
const handlers: HandlersFor<readonly [typeof sync], PlainTransaction> = {
  async sync() {
    if (refusal !== null) throw refusal()
  },
}
const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({ databaseUrl: database.url, client, jobs: [sync] as const, handlers, now: START }),
)
const own = openForTests(async () =>
  openDatabase({
    url: database.url,
    schema: createTestSchema(test.schema),
    applicationName: 'test',
    log: containedLog({}),
  }),
)
const parks = async () =>
  (
    await own.query<{ name: string; until: Date; reason: string }>(
      `select "name", "parkedUntil" as "until", "parkReason" as "reason" from "JobLimit" where "parkedUntil" is not null
       union all select 'key ' || "key", "parkedUntil", "parkReason" from "JobKey"`,
    )
  ).rows
const put = (tenant: string) => test.enqueueNow(sync, { tenant })

beforeEach(async () => {
  refusal = null
  await test.reset()
  await own.query('delete from "JobKey"')
  await own.query('update "JobLimit" set "parkedUntil" = null')
})

describe('a run that a service refuses', () => {
  it('fails without costing an attempt, and its key waits for as long as the service says', async () => {
    refusal = () => new RateLimited({ retryAfter: '120', scope: 'key', message: 'Stripe said 429' })
    await put('a')
    const [run] = await test.drain()
    expect(run).toMatchObject({
      status: 'failed',
      error: { code: 'rate_limited', message: 'Stripe said 429' },
    })
    const until = new Date(START.getTime() + 120_000)
    expect(await parks()).toEqual([{ name: 'key a', until, reason: 'rate_limited' }])
    expect(await test.enqueued(sync)).toMatchObject([{ startAfter: until }])
    refusal = null
    expect(await test.drain()).toEqual([])
    await test.advance({ seconds: 131 })
    // It has no retries, and needs none.
    expect(await test.drain()).toMatchObject([{ status: 'success', attempt: 2 }])
  })

  it('keeps no other key waiting where its work has none', async () => {
    refusal = () => new RateLimited({ scope: 'key' })
    await put('')
    await test.drain()
    expect(await parks()).toMatchObject([{ name: 'key ' }])
  })

  it.each([
    ['its job', undefined, 'job:sync'],
    ['a shared limit', stripe, 'stripe'],
    ['its job, where that is under no such limit,', { name: 'paypal' }, 'job:sync'],
  ])(
    'parks %s once, until the latest instant, however many are refused',
    async (_, scope, name) => {
      let nth = 0
      refusal = () => new RateLimited({ retryAfter: ++nth * 60_000, ...(scope && { scope }) })
      // Each is taken before the others have told.
      await put('a')
      await test.drain()
      await own.query('update "JobLimit" set "parkedUntil" = now() where "parkedUntil" is not null')
      await put('b')
      await test.drain()
      const until = new Date(START.getTime() + 120_000)
      expect(await parks()).toMatchObject([{ name, until }])
    },
  )

  it('costs a retry once twenty in a row were refused, however often it was handed back before', async () => {
    const refused = async () =>
      (
        await own.query<{ refused: number | null }>(
          `select ("facts" -> 'refused')::int as "refused" from "JobWork"`,
        )
      ).rows[0]?.refused
    refusal = () => new RateLimited({ retryAfter: 5_000 })
    await put('a')
    const attempt = async () => {
      await test.drain()
      await test.advance({ seconds: 11 })
      return await refused()
    }
    expect(await attempt()).toBe(1)
    // As by twenty workers that were stopped meanwhile.
    await own.query('update "JobWork" set "attempt" = "attempt" + 20')
    expect(await attempt()).toBe(2)
    expect(await test.enqueued(sync)).toHaveLength(1)
    await own.query(`update "JobWork" set "facts" = '{"refused": 20}'`)
    expect(await attempt()).toBeUndefined()
    const { rows } = await own.query('select "facts" from "JobDeadLetter"')
    expect(rows).toEqual([{ facts: null }])
  })

  it('counts in a row: what fails for another reason begins anew', () => {
    const retry = { limit: 2, delayMs: 4_000, maxDelayMs: 8_000 }
    const after = (refused: number, failures: number, how: 'refused' | 'retry' = 'refused') =>
      decideNext(
        {
          ...{ origin: 'queue', facts: { refused }, failures, losses: 0, lossesAlone: 0 },
          ...{ hasProgress: false, retryAfterMs: 5_000 },
        },
        retry,
        how,
        'rate_limited',
        () => 0,
      )
    const again = { kind: 'again', delayMs: 5_000 }
    expect(after(19, 0)).toEqual({ next: again, costs: { inARow: { refused: 20 } } })
    expect(after(20, 0)).toEqual({ next: again, costs: { failure: true } })
    // Never sooner than another failure would be tried again.
    expect(after(20, 1)).toMatchObject({ next: { kind: 'again', delayMs: 8_000 } })
    expect(after(20, 2)).toEqual({ next: { kind: 'dead' }, costs: { failure: true } })
    expect(after(20, 0, 'retry').costs).toEqual({ failure: true, inARow: {} })
    expect(after(0, 0, 'retry').costs).toEqual({ failure: true })
  })
})

describe('what a service says of when it takes more', () => {
  const HOUR_MS = 3_600_000
  it.each([
    [5_000, 5_000],
    ['7', 7_000],
    [' 7 ', 7_000],
    [-1, 0],
    [Infinity, 24 * HOUR_MS],
    ['999999999', 24 * HOUR_MS],
    [undefined, 60_000],
    [null, 60_000],
    ['soon', 60_000],
    ['-7', 60_000],
    [Number.NaN, 60_000],
  ])('is read of %j as %d ms', (retryAfter, ms) => {
    expect(new RateLimited({ retryAfter }).retryAfterMs).toBe(ms)
  })

  it('may be an instant, also as a header has it', () => {
    const inAnHour = new Date(Date.now() + HOUR_MS)
    for (const retryAfter of [inAnHour, inAnHour.toUTCString()]) {
      const { retryAfterMs } = new RateLimited({ retryAfter })
      expect(retryAfterMs).toBeGreaterThan(HOUR_MS - 60_000)
      expect(retryAfterMs).toBeLessThanOrEqual(HOUR_MS)
    }
  })

  it('is nothing where another error has the code', () => {
    expect(readRefusal(new JobError('rate_limited', 'by ourselves'))).toBeNull()
    expect(readRefusal(null)).toBeNull()
    // However often a service says that it takes more at once.
    expect(readRefusal(new RateLimited({ retryAfter: '0' }))).toMatchObject({ retryAfterMs: 1_000 })
    expect(readRefusal(new RateLimited({ scope: { name: 'stripe' } }))).toEqual({
      retryAfterMs: 60_000,
      limit: 'stripe',
      isOfKey: false,
    })
  })
})
