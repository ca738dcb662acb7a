import { openForTests, waitFor } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { claimUnderLimits } from '../../src/queue/claimUnderLimits.ts'
import type { Connection } from '../../src/database/database.ts'
import { createLane } from '../../src/work/lane.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

const INTERVAL_MS = 100
const call = defineJob({
  name: 'call',
  rateLimit: { limit: 5, perMs: 5 * INTERVAL_MS },
})

const REQUEST = { name: 'slow', exclusiveKey: null, expireSeconds: 900 }
const hourly = defineJob({ name: 'hourly', rateLimit: { limit: 1, perMs: 3_600_000 } })

const { runtime, client } = useClientRuntime()

describe('a job with a rate limit', () => {
  it('starts no more often than that, over all workers, and leaves nothing lying', async () => {
    const COUNT = 12
    const { prisma } = runtime
    const options = { jobs: [call], handlers: { call: async () => undefined } }
    await Promise.all([1, 2, 3].map(() => startTestWorker(runtime, options)))
    const clock = () =>
      runtime.value<number>('select extract(epoch from clock_timestamp())::float8 * 1000 as ms')
    const before = await clock()
    await prisma.$transaction((tx) =>
      client.enqueueMany(
        tx,
        call,
        Array.from({ length: COUNT }, () => ({ payload: {} })),
      ),
    )
    await waitFor(
      async () =>
        (await runtime.rows(`select from "JobRun" where "status" = 'success'`)).length === COUNT,
      { timeoutMs: 20_000 },
    )

    // Even the fastest machine must take this long.
    expect((await clock()) - before).toBeGreaterThanOrEqual((COUNT - 1) * INTERVAL_MS)
  })
})

describe('a rate that is on record', () => {
  it('is what workers go by, whatever their own code says', async () => {
    await startTestWorker(runtime, { jobs: [hourly], handlers: { hourly: async () => undefined } })
    await runtime.rows(`update "JobLimit" set "rateLimit" = 1000000 where "name" = 'job:hourly'`)
    await client.enqueueManyNow(
      hourly,
      Array.from({ length: 5 }, () => ({ payload: {} })),
    )
    const { length } = await waitFor(async () => {
      const ended = await runtime.rows(`select from "JobRun" where "name" = 'hourly'`)
      return ended.length === 5 && ended
    })
    expect(length).toBe(5)
  })
})

describe('a lane that waits for its allowance', () => {
  afterEach(() => vi.useRealTimers())

  it.each([60, 365])('of %i days does not ask all the time', async (days) => {
    vi.useFakeTimers()
    let claims = 0
    const lane = createLane({
      job: call,
      concurrency: 1,
      log: runtime.log,
      perform: async () => undefined,
      claimer: {
        claim: async () => {
          claims++
          return { work: [], isAlive: true, mayBeMore: false, freeInMs: days * 86_400_000 }
        },
      },
    })
    lane.start()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(claims).toBe(1)
    await vi.advanceTimersByTimeAsync(days * 86_400_000)
    expect(claims).toBeGreaterThan(1)
    await lane.stop()
  })
})

describe('an allowance', () => {
  const rateLimit = { limit: 20, perMs: 60_000 }
  openForTests(() => openTestQueue(runtime, []))

  beforeEach(async () => {
    await runtime.clear('JobLimit', 'JobThrottle')
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "bytes", "payload") select gen_random_uuid(), 'slow', 2, '{}' from generate_series(1, 9)`,
    )
  })

  /** Takes as much as may start, and no more than this. */
  async function start(most: number, rate = rateLimit, database: Connection = runtime.database) {
    const job = defineJob({ name: 'slow', rateLimit: rate })
    const { limits, order } = (await registeredLimits(runtime, [job])).of('slow')!
    const request = { ...REQUEST, claimId: crypto.randomUUID(), limit: most }
    const of = { workerId: 'w1', startedAt: new Date(), limits, order, known: null, keys: null }
    const { work, state } = await claimUnderLimits(database, { ...of, request })
    return { started: work.length, free: state!.free, freeInMs: state!.openInMs ?? 0 }
  }
  const move = (by: string) =>
    runtime.rows(
      `update "JobThrottle" set "freeAt" = clock_timestamp() + $1::interval where "name" = 'slow'`,
      [by],
    )

  it('is a tenth at once, and then one after the other', async () => {
    expect(await start(5)).toEqual({ started: 2, free: 2, freeInMs: 0 })
    const { started, freeInMs } = await start(5)
    expect(started).toBe(0)
    expect(freeInMs).toBeGreaterThan(0)
    expect(freeInMs).toBeLessThanOrEqual(3_000)
  })

  it('is no larger after a pause, however long nothing was started', async () => {
    await start(1)
    await move('-1 hour')
    expect(await start(5)).toEqual({ started: 2, free: 2, freeInMs: 0 })
    expect((await start(5)).started).toBe(0)
  })

  it('is that of the limit as it is now, not as it was at the last start', async () => {
    const strict = { limit: 1, perMs: 86_400_000 }
    expect((await start(5, strict)).started).toBe(1)
    expect((await start(5, strict)).started).toBe(0)
    await runtime.clear('JobLimit')
    // At most a tenth of 20 a minute is used up: the next is free after one of those intervals.
    const { started, freeInMs } = await start(5)
    expect(started).toBe(0)
    expect(freeInMs).toBeLessThanOrEqual(3_000)
  })

  it("is not withheld for hours when the database's clock was set back", async () => {
    expect((await start(2)).started).toBe(2)
    await move('5 hours')
    expect((await start(0)).freeInMs).toBeLessThanOrEqual(3_000)
  })

  it('is not used up by a start that was rolled back', async () => {
    const refused = runtime.database.transaction(async (tx) => {
      expect((await start(2, rateLimit, tx)).started).toBe(2)
      throw new Error('changed my mind')
    })
    await expect(refused).rejects.toThrow('changed my mind')
    expect((await start(2)).started).toBe(2)
  })
})
