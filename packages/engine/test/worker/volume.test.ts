// Not quick: thousands of runs, behind a slow network.
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { waitFor, type Proxy } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient, listDeadLetters, type JobsClient } from '../../src/client.ts'
import { defineJob, JobError } from '../../src/index.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { openProxyTo } from '../openProxyTo.ts'

const COUNT = 2_000
/** More than are cancelled at one call. */
const FEW = 60
/** For thousands of runs. One trip for each would be many more. */
const MAX_ROUND_TRIPS = 600
const ACTOR = { actor: 'somebody', reason: 'a test' }

const parcel = defineJob({
  name: 'parcel',
  payload: z.object({ n: z.number() }),
  concurrency: COUNT,
  retry: { limit: 0 },
})
const jobs = [parcel] as const

type Behaviour = 'waits' | 'fails' | 'succeeds'

const runtime = useTestRuntime({ cleared: ['JobAction'] })
let proxy: Proxy
let url: string
let prisma: PrismaClient
let client: JobsClient

beforeAll(async () => {
  ;({ proxy, url } = await openProxyTo(runtime.url))
  prisma = createDatabaseClient({ url, applicationName: 'host', onPoolError: () => undefined })
  client = createJobsClient({ schema: 'public', databaseUrl: url, log: runtime.log })
  await client.start()
})

afterEach(() => proxy.delay(0))

afterAll(async () => {
  await client.stop()
  await prisma.$disconnect()
  proxy.close()
})

const startWorker = (behaviour: Behaviour, databaseUrl = url) =>
  startTestWorker(runtime, {
    databaseUrl,
    client: prisma,
    jobs,
    handlers: {
      async parcel({ payload, signal }) {
        if (behaviour === 'fails') throw new JobError(`code_${payload.n}`, `Parcel ${payload.n}`)
        if (behaviour === 'succeeds') return
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        })
      },
    },
  })

const enqueue = (count: number) =>
  client.enqueueManyNow(
    parcel,
    Array.from({ length: count }, (_, n) => ({ payload: { n } })),
  )

/** How many runs have ended how, by their error codes. */
async function ends(): Promise<Record<string, number>> {
  const rows = await runtime.rows<{ code: string; count: number }>(
    `select coalesce("errorCode", "status"::text) as "code", count(*)::int as "count" from "JobRunAll" group by 1`,
  )
  return Object.fromEntries(rows.map(({ code, count }) => [code, count]))
}

const end = (wanted: Record<string, number>) =>
  waitFor(
    async () => {
      const found = await ends()
      expect(found).toEqual(wanted)
      return true
    },
    { timeoutMs: 60_000, message: `ends as ${JSON.stringify(wanted)}` },
  )

async function roundTripsOf(work: () => Promise<unknown>): Promise<number> {
  const before = proxy.roundTrips()
  await work()
  return proxy.roundTrips() - before
}

describe('thousands of runs behind a network of 5 ms', () => {
  beforeEach(() => proxy.delay(5))

  it('are drained, and none is lost', { timeout: 120_000 }, async () => {
    await enqueue(COUNT)
    const leaving = await startWorker('waits')
    await end({ running: COUNT })
    const trips = await roundTripsOf(() => leaving.stop({ drainTimeoutMs: 0 }))
    expect(await ends()).toEqual({ drained: COUNT })
    expect(trips).toBeLessThan(MAX_ROUND_TRIPS)

    await startWorker('succeeds')
    await end({ drained: COUNT, success: COUNT })
  })

  it('fail, each with its own error, and are redriven', { timeout: 120_000 }, async () => {
    await enqueue(COUNT)
    const failing = await startWorker('fails')
    const settling = await roundTripsOf(async () => {
      await waitFor(async () => Object.keys(await ends()).length === COUNT)
    })
    expect(settling).toBeLessThan(MAX_ROUND_TRIPS)
    const { deadLetters } = await listDeadLetters(runtime.reader, { limit: 10_000 })
    const [told, enqueued] = [new Set<string>(), new Set<string>()]
    for (const { error } of deadLetters) told.add(`${error.code} ${error.message}`)
    for (let n = 0; n < COUNT; n++) enqueued.add(`code_${n} Parcel ${n}`)
    expect(told).toEqual(enqueued)

    await failing.stop()
    const redriving = await roundTripsOf(async () => {
      const outcome = await client.redriveDeadLetters('all', ACTOR)
      expect(outcome).toMatchObject({ redriven: COUNT, left: 0 })
    })
    expect(redriving).toBeLessThan(MAX_ROUND_TRIPS)
    await startWorker('succeeds')
    await waitFor(async () => (await ends())['success'] === COUNT)
  })

  it('are cancelled by one act, a thousand with each call', { timeout: 120_000 }, async () => {
    await enqueue(FEW)
    await startWorker('waits')
    await end({ running: FEW })
    for (let mark: string | undefined; ;) {
      const answer = await client.actOnMany({ ...ACTOR, kind: 'cancel', which: 'all', mark })
      if (answer.left === 0) break
      mark = answer.mark
    }
    await waitFor(async () => (await ends())['cancelled'] === FEW)
    expect(await ends()).toEqual({ cancelled: FEW })
  })
})
