import { createDatabaseClient } from '@roundsman/db'
import { openForTests, waitFor } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient, getWork, type JobsClient } from '../../src/client.ts'
import { defineJob, type TransactionOf } from '../../src/index.ts'
import { enqueueOne, enqueueWork } from '../../src/store/enqueueWork.ts'
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

const byN = (one: unknown, other: unknown) => (one as { n: number }).n - (other as { n: number }).n

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

  it('holds a unique key as a transaction does, under 20 at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => client.enqueueNow(letter, { n }, { uniqueKey: 'one' })),
    )

    expect(results.filter(({ kind }) => kind === 'enqueued')).toHaveLength(1)
    expect(new Set(results.map(({ workId }) => workId)).size).toBe(1)
    expect(await numbers()).toHaveLength(1)
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

  it('hands out what has a higher priority first', async () => {
    for (const priority of [0, 5, -(2 ** 31), 2 ** 31 - 1]) {
      await transaction((tx) => client.enqueue(tx, letter, { n: priority }, { priority }))
    }

    const order: unknown[] = []
    for (let n = 0; n < 4; n++) {
      order.push(...(await take(1)).map(({ envelope }) => envelope.payload))
    }
    expect(order).toEqual([2 ** 31 - 1, 5, 0, -(2 ** 31)].map((n) => ({ n })))
  })

  it('hands out what has waited longest first, and all that it can at once', async () => {
    for (const n of [2, 7, 1, 5]) await transaction((tx) => client.enqueue(tx, letter, { n }))

    expect((await take(1)).map(({ envelope }) => envelope.payload)).toEqual([{ n: 2 }])
    expect((await take(2)).map(({ envelope }) => envelope.payload).toSorted(byN)).toEqual([
      { n: 1 },
      { n: 7 },
    ])
    expect((await take(10)).map(({ envelope }) => envelope.payload)).toEqual([{ n: 5 }])
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

  it.each([
    [{ priority: 1.5 }, 'priority must be a whole number of 32 bits, not 1.5'],
    [{ priority: 2 ** 31 }, 'priority must be a whole number of 32 bits, not 2147483648'],
    [{ startAfter: new Date(NaN) }, 'startAfter must be a valid date'],
    [{ uniqueKey: '' }, 'uniqueKey must have 1 to 255 characters'],
    [{ uniqueKey: 'a\0b' }, 'uniqueKey must have 1 to 255 characters'],
  ])('refuses %j', async (options, problem) => {
    await expect(client.enqueueNow(letter, { n: 1 }, options)).rejects.toThrow(problem)
  })

  it('refuses options of another type than theirs, and writes nothing', async () => {
    // Written as JSON this would never end: whoever writes it blocks the process for ever.
    let doubled: object = {}
    for (let level = 0; level < 60; level++) doubled = { left: doubled, right: doubled }
    const proxy = new Proxy({}, { get: () => doubled })
    const foreign = [doubled, proxy, 5, 5n, true, null, ['k'], Symbol('k'), Object('k')]

    for (const option of ['uniqueKey', 'priority', 'startAfter'] as const) {
      for (const value of foreign) {
        if (option === 'priority' && value === 5) continue
        const options = { [option]: value } as never
        const refused = client.enqueueNow(letter, { n: 1 }, options)
        await expect(refused).rejects.toThrow(TypeError)
        await expect(refused).rejects.toThrow(`${option} must`)
      }
    }
    expect(await numbers()).toEqual([])
  })

  it.each(['perhaps', 1, {}])(
    'refuses a run of which %j says whether it is dry',
    async (dryRun) => {
      const request = { actor: 'ops', reason: 'test', payload: { n: 1 }, dryRun: dryRun as never }

      await expect(client.requestRun(letter, request)).rejects.toThrow('dryRun must')
      expect(await numbers()).toEqual([])
    },
  )

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

  it('has few steps between the call and its one statement', async () => {
    let stack = ''
    await transaction(async (tx) => {
      const counted = {
        $queryRawUnsafe<Value>(text: string, ...values: unknown[]) {
          stack = new Error('here').stack ?? ''
          return tx.$queryRawUnsafe<Value>(text, ...values)
        },
      }
      await client.enqueue(counted, letter, { n: 1 })
    })
    const steps = [...stack.matchAll(/at (?:async )?(?:[\w.]+ )?.*\/store\/(\w+)\.ts/g)]
    const own = steps.map(([, file]) => file).filter((file) => file !== 'callersTransaction')
    expect(own).toEqual(['insertWork', 'enqueueWork', 'enqueueWork', 'enqueueWork'])
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

  it('is free again when the transaction that held it is rolled back', async () => {
    const refused = transaction(async (tx) => {
      await client.enqueue(tx, letter, { n: 1 }, { uniqueKey: 'k' })
      throw new Error('changed my mind')
    })
    await expect(refused).rejects.toThrow('changed my mind')

    expect(await enqueue(2)).toMatchObject({ kind: 'enqueued' })
  })

  it('lets one of 50 at once in', async () => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        runtime.prisma.$transaction((tx) => client.enqueue(tx, letter, { n }, { uniqueKey: 'k' }), {
          maxWait: 20_000,
          timeout: 20_000,
        }),
      ),
    )

    expect(results.filter(({ kind }) => kind === 'enqueued')).toHaveLength(1)
    expect(new Set(results.map(({ workId }) => workId)).size).toBe(1)
    expect(await numbers()).toHaveLength(1)
  })

  it('of one job is not that of another, and no other key', async () => {
    await enqueue(1)
    expect(await enqueue(2, 'other')).toMatchObject({ kind: 'enqueued' })
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

  it('enqueues all or, where one payload is wrong, none', async () => {
    const refused = transaction((tx) =>
      client.enqueueMany(tx, letter, [{ payload: { n: 1 } }, { payload: { n: 'two' } as never }]),
    )

    await expect(refused).rejects.toMatchObject({ code: 'payload_invalid' })
    expect(await numbers()).toEqual([])
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

  it('with the same keys in another order does not block itself', async () => {
    const keys = Array.from({ length: 40 }, (_, n) => `key ${n}`)
    const enqueueAll = (order: string[]) =>
      runtime.prisma.$transaction(
        (tx) =>
          client.enqueueMany(
            tx,
            letter,
            order.map((uniqueKey, n) => ({ payload: { n }, options: { uniqueKey } })),
          ),
        { maxWait: 20_000, timeout: 20_000 },
      )

    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) => enqueueAll(n % 2 ? keys : keys.toReversed())),
    )
    expect(results.flat().filter(({ kind }) => kind === 'enqueued')).toHaveLength(40)
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
