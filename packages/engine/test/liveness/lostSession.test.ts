// Not quick: cuts sessions under load.
import { createProxy, waitFor, type Proxy } from '@roundsman/testing'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { listWorkers } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { isAliveSql } from '../../src/database/workerLock.ts'
import { createSession } from '../../src/liveness/session.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { WORK_LEFT } from '../readWorkStates.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const piece = defineJob({ name: 'piece', payload: z.object({ ms: z.number() }) })
const slow = defineJob({
  name: 'slow',
  payload: z.object({ ms: z.number() }),
  rateLimit: { limit: 1_000, perMs: 1_000 },
})
const jobs = [piece, slow] as const

const { runtime, client } = useClientRuntime()
let proxy: Proxy
let workers: Worker[] = []
/** For each piece of work, how many attempts are under way, and whether there were ever two. */
let underWay: Map<string, number>
let doubled: Set<string>

beforeAll(async () => {
  proxy = await createProxy(Number(new URL(runtime.url).port))
})

afterAll(async () => {
  proxy.close()
})

beforeEach(async () => {
  underWay = new Map()
  doubled = new Set()
  await runtime.clear('JobWorker', 'JobThrottle')
})

afterEach(async () => {
  proxy.refuse(null)
  await Promise.all(workers.map((worker) => worker.stop({ drainTimeoutMs: 0 })))
  workers = []
})

async function carryOut({ ms }: { ms: number }, workId: string | null): Promise<void> {
  const id = workId ?? ''
  const others = underWay.get(id) ?? 0
  if (others > 0) doubled.add(id)
  underWay.set(id, others + 1)
  await new Promise((resolve) => setTimeout(resolve, ms))
  underWay.set(id, underWay.get(id)! - 1)
}

async function startWorker({ isBehindProxy = false } = {}): Promise<Worker> {
  const url = new URL(runtime.url)
  if (isBehindProxy) url.port = String(proxy.port)
  const handle = async ({ run, payload }: { run: { id: string }; payload: { ms: number } }) => {
    const [{ id } = { id: null }] = await runtime.rows<{ id: string | null }>(
      'select "workId" as id from "JobRunAll" where "id" = $1',
      [run.id],
    )
    await carryOut(payload, id)
  }
  const worker = createWorker({
    ...runtime.workerOptions,
    databaseUrl: url.href,
    jobs,
    handlers: { piece: handle, slow: handle },
    concurrency: 5,
  })
  await worker.start()
  workers.push(worker)
  return worker
}

/** Matches the worker's session, but none of its pool's connections. */
const isSessionOf = (worker: Worker) => (greeting: string) =>
  greeting.includes(`\0roundsman ${worker.id}\0`)
const isSeen = async (worker: Worker) =>
  (await listWorkers(runtime.reader)).find(({ id }) => id === worker.id)?.isAlive ?? false
const serverTime = () => runtime.value<Date>('select clock_timestamp() as at')

async function cutSession(worker: Worker): Promise<Date> {
  proxy.refuse(isSessionOf(worker))
  proxy.cut(isSessionOf(worker))
  await waitFor(async () => !(await isSeen(worker)))
  return await serverTime()
}

const enqueue = (count: number, ms: number, job: typeof piece | typeof slow = piece) =>
  client.enqueueManyNow(
    job,
    Array.from({ length: count }, () => ({ payload: { ms } })),
  )
const left = async () => (await runtime.rows(`select from ${WORK_LEFT}`)).length
const lostRuns = () =>
  runtime.rows<{ workId: string }>(
    `select "workId" from "JobRun" where "errorCode" = 'worker_lost'`,
  )

describe('a worker whose session is down while its pool works', () => {
  it.each([piece, slow])('takes no work of %o until others can see it', async (job) => {
    const worker = await startWorker({ isBehindProxy: true })
    await cutSession(worker)
    await enqueue(24, 1, job)
    // It asks, is told so, and waits: asking again and again would load a database in trouble.
    const claimer = createClaimer({
      database: runtime.database,
      workerId: worker.id,
      now: () => new Date(),
    })
    const answers = await Promise.all([1, 2, 3].map(() => claimer.claim(job, 10)))
    expect(answers.map(({ work, isAlive }) => [work.length, isAlive])).toEqual(
      [1, 2, 3].map(() => [0, false]),
    )
    expect(await runtime.rows('select from "JobRun"')).toEqual([])
    expect(await left()).toBe(24)

    proxy.refuse(null)
    await waitFor(async () => (await left()) === 0)
    expect(await runtime.rows(`select distinct "status"::text, "workerId" from "JobRun"`)).toEqual([
      { status: 'success', workerId: worker.id },
    ])
    expect(await runtime.rows('select from "JobRun" where "attempt" > 1')).toEqual([])
  })

  it('leaves it to another, which does each piece once', async () => {
    const worker = await startWorker({ isBehindProxy: true })
    const from = await cutSession(worker)
    const other = await startWorker()
    await enqueue(30, 20)

    await waitFor(async () => (await left()) === 0)
    const runs = await runtime.rows<{ workerId: string; createdAt: Date }>('select * from "JobRun"')
    expect(runs).toHaveLength(30)
    expect(runs.filter(({ workerId }) => workerId !== other.id)).toEqual([])
    expect(from.getTime()).toBeLessThan(Math.min(...runs.map(({ createdAt }) => +createdAt)))
  })
})

describe('a session that was robbed of its lock', () => {
  it('is told so by a claim, and takes it back', async () => {
    // As after a fail-over to another server: connected, but no other worker looks there.
    const { database, log, url } = runtime
    const session = createSession({ url, database, workerId: 'robbed', log })
    await session.start()
    const locks = `select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
      and pid in (select pid from pg_stat_activity where application_name = 'roundsman robbed' and datname = current_database())`
    await session.query('select pg_advisory_unlock_all()')
    expect(await runtime.rows(locks)).toHaveLength(0)
    const claimer = createClaimer({
      database,
      workerId: 'robbed',
      now: () => new Date(),
      onNotAlive: session.doubt,
    })
    try {
      expect(await claimer.claim(piece, 1)).toMatchObject({ isAlive: false })
      await waitFor(async () => (await runtime.rows(locks)).length === 1)
      await waitFor(() => session.connectedForMs() !== null)
      expect(await claimer.claim(piece, 1)).toMatchObject({ isAlive: true })
      // An answer to a question from before it came back says nothing about now.
      session.doubt(performance.now() - 60_000)
      expect(session.connectedForMs()).not.toBeNull()
    } finally {
      await session.stop()
    }
  })
})

describe('who asks whether a worker lives', () => {
  const ask = `select ${isAliveSql("'asked-for'")} as "isAlive"`

  it('may be several at once, is not taken for it, and is not ended when it comes back', async () => {
    const { url, database, log } = runtime
    const session = createSession({ url, database, workerId: 'asked-for', log })
    await database.transaction(async (tx) => {
      const answers = [await tx.query(ask), await database.query(ask)]
      expect(answers.map(({ rows }) => rows)).toEqual([[{ isAlive: false }], [{ isAlive: false }]])
      const started = session.start()
      // While it queues for its lock, it counts as alive.
      await waitFor(() => runtime.value<boolean>(ask))
      expect((await tx.query('select 1 as n')).rows).toEqual([{ n: 1 }])
      void started.catch(() => undefined)
    })
    await waitFor(() => session.connectedForMs() !== null)
    await session.stop()
  })
})

describe('two workers whose sessions are cut at random moments, under load', () => {
  it(
    'never take what others take for dead, nor do a piece twice at a time',
    {
      timeout: 120_000,
    },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ pauseMs: fc.nat(300), downMs: fc.nat(900), which: fc.nat(1) }), {
            minLength: 3,
            maxLength: 6,
          }),
          async (cuts) => {
            underWay = new Map()
            doubled = new Set()
            await runtime.clear()
            const fleet = [
              await startWorker({ isBehindProxy: true }),
              await startWorker({ isBehindProxy: true }),
            ]
            await enqueue(200, 30)
            const unseen: { workerId: string; from: Date; to: Date }[] = []
            for (const { pauseMs, downMs, which } of cuts) {
              await new Promise((resolve) => setTimeout(resolve, pauseMs))
              const from = await cutSession(fleet[which]!)
              await new Promise((resolve) => setTimeout(resolve, downMs))
              unseen.push({ workerId: fleet[which]!.id, from, to: await serverTime() })
              proxy.refuse(null)
              await waitFor(() => isSeen(fleet[which]!))
            }
            await waitFor(async () => (await left()) === 0, { timeoutMs: 30_000 })
            await Promise.all(workers.map((worker) => worker.stop()))
            workers = []

            const claimed = await runtime.rows<{ workerId: string; createdAt: Date }>(
              'select "workerId", "createdAt" from "JobRun"',
            )
            const blind = claimed.filter((run) =>
              unseen.some(
                ({ workerId, from, to }) =>
                  run.workerId === workerId && run.createdAt > from && run.createdAt < to,
              ),
            )
            expect(blind).toEqual([])
            const lost = new Set((await lostRuns()).map(({ workId }) => workId))
            expect([...doubled].filter((id) => !lost.has(id))).toEqual([])
            const done = await runtime.rows(`select from "JobRun" where "status" = 'success'`)
            expect(done).toHaveLength(200)
          },
        ),
        { numRuns: 3 },
      )
    },
  )
})
