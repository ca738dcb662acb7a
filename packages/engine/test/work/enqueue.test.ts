import { createDatabaseClient } from '@roundsman/db'
import { openForTests, waitFor } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient, getWork, type JobsClient } from '../../src/client.ts'
import { defineJob, type TransactionOf } from '../../src/index.ts'
import { enqueueOne, enqueueWork } from '../../src/queue/enqueueWork.ts'
import { openTestQueue } from '../openTestQueue.ts'
import type { TestRuntime } from '../openTestRuntime.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { recordStatements } from '../recordStatements.ts'

const letter = defineJob({
  name: 'letter',
  payload: z.strictObject({ n: z.number(), to: z.string().max(20).optional() }),
})
const unknown = defineJob({ name: 'unknown' })

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [letter]))
let client: JobsClient
beforeAll(() => void ({ client } = opened))

const transaction = <Result>(
  work: (tx: TransactionOf<TestRuntime['prisma']>) => Promise<Result>,
): Promise<Result> => runtime.prisma.$transaction((tx) => work(tx))
const take = (limit: number) => opened.take('letter', limit)
const numbers = () =>
  runtime.column<number>(
    `select ("payload" ->> 'n')::int as n from (
         select "payload" from "JobWork" union all select unnest("payloads") from "JobClaim"
       ) as held("payload") order by 1`,
  )

describe('enqueueNow', () => {
  it('is one statement, without a transaction around it', async () => {
    const recorded = recordStatements(runtime.database)
    const sender = { waker: { wake: () => undefined }, log: runtime.log }
    const envelope = { payload: { n: 1 }, trigger: 'queue' as const }
    await enqueueOne(sender, recorded, letter, { envelope })

    expect(recorded.asked).toHaveLength(1)
    expect(await numbers()).toEqual([1])
  })

  it('has committed when it resolves, with its options, and has woken workers', async () => {
    const results = [
      await client.enqueueNow(letter, { n: 1 }, { uniqueKey: 'k', priority: 7 }),
      await client.enqueueNow(letter, { n: 2 }, { uniqueKey: 'k' }),
      ...(await client.enqueueManyNow(letter, [
        { payload: { n: 3 } },
        { payload: { n: 4 }, options: { uniqueKey: 'k', onConflict: 'replace' } },
      ])),
    ]
    expect(results.map(({ kind }) => kind)).toEqual([
      'enqueued',
      'alreadyQueued',
      'enqueued',
      'replaced',
    ])
    expect(await numbers()).toEqual([3, 4])
  })

  it('goes on while reads have all connections of the reader', async () => {
    const pids = new Set<number>()
    const text = `select pg_backend_pid() as "pid", pg_sleep(60)::text`
    const reads = Array.from({ length: 5 }, () => client.reader.rows({ text, values: [] }))
    const over = Promise.allSettled(reads)
    const sleeping = `select "pid" from pg_stat_activity where "query" = $1`
    await waitFor(async () => {
      for (const pid of await runtime.column<number>(sleeping, [text])) pids.add(pid)
      return pids.size === 5
    })
    expect(await client.enqueueNow(letter, { n: 1 })).toMatchObject({ kind: 'enqueued' })
    await runtime.rows('select pg_terminate_backend("pid") from unnest($1::int[]) "pid"', [
      [...pids],
    ])
    await over
  })

  it('rejects once its client is stopped', async () => {
    const stopped = createJobsClient({ databaseUrl: runtime.url, schema: 'public' })
    await stopped.stop()
    await expect(stopped.enqueueNow(letter, { n: 1 })).rejects.toThrow('jobs client is stopped')
    const many = stopped.enqueueManyNow(letter, [{ payload: { n: 1 } }])
    await expect(many).rejects.toThrow('jobs client is stopped')
  })

  it("is kept prepared where connections last, and none of Prisma's own statements", async () => {
    let areLasting = false
    const prisma = createDatabaseClient({
      url: runtime.url,
      applicationName: 'producer',
      poolSize: 1,
      canPrepare: () => areLasting,
      onPoolError: () => undefined,
    })
    const prepared = () =>
      prisma.readRows({ text: 'select "name" from pg_prepared_statements order by 1' })
    await prisma.$transaction((tx) => client.enqueue(tx, letter, { n: 1 }))
    expect(await prepared()).toEqual([])
    areLasting = true
    for (const n of [2, 3]) await prisma.$transaction((tx) => client.enqueue(tx, letter, { n }))
    const two = [{ payload: { n: 4 } }, { payload: { n: 5 } }]
    await prisma.$transaction((tx) => client.enqueueMany(tx, letter, two))
    await prisma.$transaction((tx) => client.enqueue(tx, letter, { n: 6 }, { uniqueKey: 'six' }))
    const keyed = [7, 8].map((n) => ({ payload: { n }, options: { uniqueKey: `key ${n}` } }))
    await prisma.$transaction((tx) => client.enqueueMany(tx, letter, keyed))
    await prisma.jobRun.findFirst()
    expect(await prepared()).toEqual([
      { name: 'roundsman_send' },
      { name: 'roundsman_send_keyed' },
      { name: 'roundsman_send_one' },
      { name: 'roundsman_send_plain' },
    ])
    expect(await numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    await prisma.$disconnect()
  })
})

describe('enqueue', () => {
  it('leaves a job if and only if its transaction commits, under 50 at once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        runtime.prisma.$transaction(
          async (tx) => {
            await client.enqueue(tx, letter, { n })
            if (n % 2 === 1) throw new Error('changed my mind')
          },
          { maxWait: 20_000, timeout: 20_000 },
        ),
      ),
    )

    expect(outcomes.map(({ status }) => status)).toEqual(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 1 ? 'rejected' : 'fulfilled')),
    )
    expect(await numbers()).toEqual(Array.from({ length: 25 }, (_, n) => n * 2))
  })

  it('hands out nothing before its time', async () => {
    const startAfter = new Date(Date.now() + 3_600_000)
    const { workId } = await transaction((tx) =>
      client.enqueue(tx, letter, { n: 1 }, { startAfter }),
    )

    expect(await take(1)).toEqual([])
    expect(await getWork(runtime.reader, letter, workId)).toEqual({
      kind: 'waiting',
      startAfter: startAfter.toISOString(),
    })
  })

  it('refuses a payload with all that is wrong with it, and writes nothing', async () => {
    // @ts-expect-error: it does not compile either
    const refused = client.enqueueNow(letter, { n: '1', extra: true })

    await expect(refused).rejects.toMatchObject({
      code: 'payload_invalid',
      retryable: false,
      details: { issues: [{ path: ['n'] }, { path: [], code: 'unrecognized_keys' }] },
    })
    expect(await numbers()).toEqual([])
  })

  it('reads options once, and keeps nothing of them that is not its own', async () => {
    const startAfter = Object.assign(new Date('2100-01-01T00:00:00Z'), { toJSON: () => 'never' })
    let reads = 0
    const options = {
      startAfter,
      get uniqueKey() {
        return reads++ === 0 ? 'k' : (5 as never)
      },
    }

    const { workId } = await client.enqueueNow(letter, { n: 1 }, options)

    expect(await client.enqueueNow(letter, { n: 2 }, { uniqueKey: 'k' })).toEqual({
      kind: 'alreadyQueued',
      workId,
    })
    expect(await getWork(runtime.reader, letter, workId)).toEqual({
      kind: 'waiting',
      startAfter: '2100-01-01T00:00:00.000Z',
    })
  })

  it('lets work wait that no worker knows yet', async () => {
    const { workId } = await client.enqueueNow(unknown, {})
    expect(await getWork(runtime.reader, unknown, workId)).toMatchObject({ kind: 'waiting' })
  })
})

describe('a unique key', () => {
  const enqueue = (n: number, uniqueKey = 'k') =>
    transaction((tx) => client.enqueue(tx, letter, { n }, { uniqueKey }))

  it('keeps the second out while the first waits, runs, or is to be retried', async () => {
    const first = await enqueue(1)
    const { workId } = first
    expect(first.kind).toBe('enqueued')
    expect(await enqueue(2)).toEqual({ kind: 'alreadyQueued', workId })

    const [delivery] = await take(1)
    expect(await getWork(runtime.reader, letter, workId)).toEqual({ kind: 'running' })
    expect(await enqueue(3)).toEqual({ kind: 'alreadyQueued', workId })

    const error = { code: 'flaky', message: '' }
    await opened.fail([delivery!], error, 'retry')
    expect(await getWork(runtime.reader, letter, workId)).toMatchObject({ kind: 'waiting' })
    expect(await enqueue(4)).toEqual({ kind: 'alreadyQueued', workId })
    expect(await numbers()).toEqual([1])
  })

  it('frees up when the work is completed', async () => {
    const { workId } = await enqueue(1)
    const deliveries = await take(1)
    await opened.complete(deliveries)

    // It has left the queue, and its run remains.
    expect(await getWork(runtime.reader, letter, workId)).toEqual({ kind: 'completed' })
    expect(await enqueue(2)).toMatchObject({ kind: 'enqueued' })
  })

  it('frees up when the work is given up', async () => {
    const { workId } = await enqueue(1)
    const deliveries = await take(1)
    const error = { code: 'hopeless', message: '' }
    await opened.fail(deliveries, error, 'giveUp')

    expect(await getWork(runtime.reader, letter, workId)).toEqual({
      kind: 'failed',
      errorCode: 'hopeless',
    })
    expect(await enqueue(2)).toMatchObject({ kind: 'enqueued' })
  })
})

describe('enqueueMany', () => {
  it.each([
    [{ payload: { n: 'two' } }, /^items\[1234\]\.payload of letter: n: /],
    [{ payload: { n: 1n } }, /^items\[1234\]\.payload of letter: n: /],
    [{ payload: { n: 1 }, options: 5 }, /^items\[1234\]\.options must be an object/],
    [{ payload: { n: 1 }, options: { priority: 0.5 } }, /^items\[1234\]\.options\.priority must /],
    [5, /^items\[1234\] must be an object/],
  ])('names the piece that is refused: %o', async (item, problem) => {
    const items = [...Array.from({ length: 1_234 }, () => ({ payload: { n: 1 } })), item]
    const refused = client.enqueueManyNow(letter, items as never)
    await expect(refused).rejects.toThrow(problem)
  })

  it('enqueues thousands with one statement', async () => {
    const statements: string[] = []
    await runtime.prisma.$transaction(async (tx) => {
      const counted = new Proxy(tx, {
        get: (target, key, receiver) => {
          if (key === '$queryRawUnsafe' || key === '$executeRawUnsafe') {
            statements.push(key)
          }
          return Reflect.get(target, key, receiver) as unknown
        },
      })
      const items = Array.from({ length: 5_000 }, (_, n) => ({ payload: { n } }))
      const results = await client.enqueueMany(counted, letter, items)
      expect(new Set(results.map(({ workId }) => workId)).size).toBe(5_000)
    })

    expect(statements).toHaveLength(1)
    expect(await numbers()).toEqual(Array.from({ length: 5_000 }, (_, n) => n))
  })

  it("lets the caller's event loop turn while it enqueues very many, all or none", async () => {
    let turns = 0
    let turning = setImmediate(function turn() {
      turns++
      turning = setImmediate(turn)
    })
    const seen: number[] = []
    const items = Array.from({ length: 20_000 }, (_, n) => ({ payload: { n } }))
    const enqueued = transaction(async (tx) => {
      const watched = new Proxy(tx, {
        get: (of, name) => {
          if (name === '$queryRawUnsafe') seen.push(turns)
          return Reflect.get(of, name) as unknown
        },
      })
      await client.enqueueMany(watched, letter, items)
      throw new Error('changed my mind')
    })
    await expect(enqueued).rejects.toThrow('changed my mind')
    clearImmediate(turning)
    // Twice for each thousand items: they are read, and then checked.
    expect(seen[0]).toBeGreaterThanOrEqual(38)
    expect(await numbers()).toEqual([])
    expect(await client.enqueueManyNow(letter, items)).toHaveLength(20_000)
    expect(await numbers()).toEqual(items.map(({ payload }) => payload.n))
  })

  it('keeps to unique keys, those of its own items too, and answers in their order', async () => {
    const before = await transaction((tx) =>
      client.enqueue(tx, letter, { n: 0 }, { uniqueKey: 'a' }),
    )
    const results = await transaction((tx) =>
      client.enqueueMany(
        tx,
        letter,
        ['a', 'b', 'b', undefined].map((uniqueKey, index) => ({
          payload: { n: index + 1 },
          options: uniqueKey === undefined ? {} : { uniqueKey },
        })),
      ),
    )

    expect(results.map(({ kind }) => kind)).toEqual([
      'alreadyQueued',
      'enqueued',
      'alreadyQueued',
      'enqueued',
    ])
    expect(results[0]?.workId).toBe(before.workId)
    expect(results[2]?.workId).toBe(results[1]?.workId)
    expect(await numbers()).toEqual([0, 2, 4])
  })
})

describe('what is enqueued', () => {
  it('wakes workers for what can start, and not for what is to start later', async () => {
    const woken: unknown[] = []
    const waker = {
      wake: (...of: unknown[]) => void woken.push(of),
      cancel: () => undefined,
      stop: async () => undefined,
    }
    const enqueue = (options: { startAfter?: Date }) =>
      enqueueWork({ waker, log: runtime.log }, runtime.database, letter, [
        { envelope: { payload: { n: 1 }, trigger: 'queue' }, options },
      ])
    await enqueue({ startAfter: new Date(Date.now() + 60_000) })
    expect(woken).toEqual([])
    await enqueue({})
    expect(woken).toEqual([['letter', null]])
  })
})

describe('two transactions with the same unique keys in another order', () => {
  it.each(['keep', 'replace'] as const)('do not wait for each other: %s', async (onConflict) => {
    const items = ['a', 'm', 'z'].map((uniqueKey, n) => ({
      payload: { n },
      options: { uniqueKey, ...(onConflict === 'replace' && { onConflict }) },
    }))
    const enqueueAll = (of: typeof items) => transaction((tx) => client.enqueueMany(tx, letter, of))
    let both: Promise<unknown> | undefined
    await transaction(async (tx) => {
      // Both wait for it. Each would have the key that the other wants next.
      await client.enqueue(tx, letter, { n: 9 }, { uniqueKey: 'm' })
      both = Promise.all([enqueueAll(items), enqueueAll(items.toReversed())])
      both.catch(() => undefined)
      await waitFor(async () => (await countLockWaits(runtime)) === 2, { message: 'both wait' })
    })
    await both
    expect(await numbers()).toHaveLength(3)
  })
})

describe('getWork', () => {
  it('knows nothing of what was never there', async () => {
    expect(await getWork(runtime.reader, letter, crypto.randomUUID())).toBeNull()
  })
})
