import { waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client/index.ts'
import { defineJob } from '../../src/contract/index.ts'
import { createWorker, type Worker } from '../../src/worker/index.ts'
import { chargeAllowance, readAllowance } from '../../src/worker/throttle.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const INTERVAL_MS = 100
const call = defineJob({
  name: 'call',
  description: '',
  rateLimit: { limit: 5, perMs: 5 * INTERVAL_MS },
})

let runtime: TestRuntime
let client: JobsClient
let workers: Worker[] = []

beforeAll(async () => {
  runtime = await openTestRuntime([call])
  client = createJobsClient({ databaseUrl: runtime.url, log: runtime.log })
  await client.start()
})

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop({ drainTimeoutMs: 0 })))
  workers = []
})

afterAll(async () => {
  await client.stop()
  await runtime.close()
})

describe('a job with a rate limit', () => {
  it('starts no more often than that, over all workers, and leaves nothing lying', async () => {
    const COUNT = 12
    const { url, prisma, log } = runtime
    workers = [1, 2, 3].map(() =>
      createWorker({
        databaseUrl: url,
        prisma,
        jobs: [call],
        handlers: { call: async () => undefined },
        log,
      }),
    )
    await Promise.all(workers.map((worker) => worker.start()))
    const clock = async () =>
      (
        await runtime.rows<{ ms: number }>(
          'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
        )
      )[0]!.ms
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

    // However slow the machine is, it can not be done sooner than this.
    expect((await clock()) - before).toBeGreaterThanOrEqual((COUNT - 1) * INTERVAL_MS)
  })
})

describe('an allowance', () => {
  const rateLimit = { limit: 20, perMs: 60_000 }

  it('is a tenth at once, and then one after the other', async () => {
    const { database } = runtime
    const start = (wanted: number) =>
      database.transaction(async (tx) => {
        const { starts, freeInMs } = await readAllowance(tx, 'slow', rateLimit)
        const started = Math.min(starts, wanted)
        if (started > 0) await chargeAllowance(tx, 'slow', rateLimit, started)
        return { started, freeInMs }
      })

    expect(await start(5)).toEqual({ started: 2, freeInMs: 0 })
    const { started, freeInMs } = await start(5)
    expect(started).toBe(0)
    expect(freeInMs).toBeGreaterThan(0)
    expect(freeInMs).toBeLessThanOrEqual(3_000)
  })

  it('is not used up by a start that was rolled back', async () => {
    const { database } = runtime
    const refused = database.transaction(async (tx) => {
      await readAllowance(tx, 'undone', rateLimit)
      await chargeAllowance(tx, 'undone', rateLimit, 2)
      throw new Error('changed my mind')
    })
    await expect(refused).rejects.toThrow('changed my mind')

    const { starts } = await database.transaction((tx) => readAllowance(tx, 'undone', rateLimit))
    expect(starts).toBe(2)
  })
})
