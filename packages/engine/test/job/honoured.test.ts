import fc from 'fast-check'
import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { defineJob, type Job, type JobOptions } from '../../src/index.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { openTestQueue, toTestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { registeredLimits } from '../registeredLimits.ts'

const NAME = 'parcel'
const DAY_MS = 86_400_000
/** No lane asks for more at once. */
const MOST_AT_ONCE = 2_000

/** The one that is looked at. */
const jobs: Job[] = []
const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, jobs))

/** Whole numbers that somebody may write, with the limits of the types that store them. */
const number = fc.oneof(
  fc.nat(100_000),
  fc.constantFrom(DAY_MS, DAY_MS - 120_000, 2 ** 31 - 1, 2 ** 31, 60 * DAY_MS, 365 * DAY_MS),
  fc.integer({ min: -1, max: 400 * DAY_MS }),
  fc.maxSafeNat(),
)

const options: fc.Arbitrary<JobOptions<typeof NAME, Record<string, never>>> = fc
  .record(
    {
      timeoutMs: number,
      concurrency: number,
      retry: fc.record(
        { limit: fc.oneof(fc.nat(3), number), delayMs: number, maxDelayMs: number },
        { requiredKeys: [] },
      ),
      rateLimit: fc.record({ limit: number, perMs: number }),
      schedule: fc.record({ cron: fc.constant('0 3 * * *'), catchUpMs: number }),
    },
    { requiredKeys: [] },
  )
  .map((drawn) => ({ name: NAME, ...drawn }))

/** How long its attempt may take, how long its next one waits, or neither where there is none. */
async function readWork(): Promise<{ expiresMs: number | null; waitsMs: number | null }> {
  const [row] = await runtime.rows<{ expiresMs: number | null; waitsMs: number | null }>(
    `select (select (extract(epoch from "expiresAt" - "createdAt") * 1000)::float8 from "JobClaim") as "expiresMs",
       (select (extract(epoch from "dueAt" - clock_timestamp()) * 1000)::float8 from "JobWork") as "waitsMs"`,
  )
  return row!
}

const roundToSeconds = (ms: number) => Math.max(1, Math.round(ms / 1000)) * 1000

async function expectHonoured(job: Job<typeof NAME>): Promise<void> {
  const { timeoutMs, retry, rateLimit } = job
  await runtime.clear('JobThrottle', 'JobLimit')
  jobs[0] = job
  await runtime.prisma.$transaction((tx) => opened.client.enqueueMany(tx, job, [{ payload: {} }]))

  // The API computes such dates, and a timer takes the time-out.
  expect(new Date(Date.now() - timeoutMs - 60_000).getTime()).not.toBeNaN()
  expect(timeoutMs).toBeLessThan(2 ** 31)

  const claimer = createClaimer({
    database: runtime.database,
    workerId: 'w1',
    now: () => new Date(),
    limits: await registeredLimits(runtime, [job]),
  })
  const claimed = await claimer.claim(job, Math.min(job.concurrency ?? 1, MOST_AT_ONCE))
  const work = claimed.work.map(toTestWork)
  expect(work).toMatchObject([{ attempt: 1, retriesLeft: retry.limit }])
  const { freeInMs } = await claimer.claim(job, 1)
  expect(freeInMs ?? 0).toBeLessThanOrEqual(rateLimit ? rateLimit.perMs / rateLimit.limit : 0)
  const { expiresMs } = await readWork()
  expect(expiresMs).toBeGreaterThanOrEqual(timeoutMs + 120_000)
  expect(expiresMs).toBeLessThan(timeoutMs + 121_000)

  await opened.fail(work, { code: 'broken', message: '' }, 'retry')
  const { waitsMs } = await readWork()
  expect(waitsMs === null).toBe(retry.limit === 0)
  if (waitsMs !== null) {
    const [least, most] = [roundToSeconds(retry.delayMs), roundToSeconds(retry.maxDelayMs)]
    // Some time has passed since.
    const isHonoured =
      waitsMs > Math.min(least, most) - 60_000 && waitsMs <= Math.min(2 * least, most)
    if (!isHonoured) throw new Error(`It waits for ${waitsMs} ms, not ${least} to ${most}`)
    return
  }
  await opened.client.redriveDeadLetters('all', { actor: 'tests', reason: 'mended' })
  expect(await opened.take(NAME)).toMatchObject([{ attempt: 2, retriesLeft: retry.limit }])
}

function define(drawn: Parameters<typeof defineJob<typeof NAME>>[0]): Job<typeof NAME> | Error {
  try {
    return defineJob(drawn)
  } catch (error) {
    return error as Error
  }
}

describe('a definition', () => {
  it('is refused, with the option that is wrong, or honoured to its end', async () => {
    let honoured = 0
    await fc.assert(
      fc.asyncProperty(options, async (drawn) => {
        const defined = define(drawn)
        const isRefused = defined instanceof Error
        expect(!isRefused || defined instanceof TypeError).toBe(true)
        expect(!isRefused || /^Job "parcel": \S+ must be /.test(defined.message)).toBe(true)
        if (isRefused) return
        honoured++
        await expectHonoured(defined)
      }),
      // Few of those drawn are accepted, and some draws have none.
      { numRuns: 120, examples: [[{ name: NAME } as never]] },
    )
    expect(honoured).toBeGreaterThan(0)
  })
})
