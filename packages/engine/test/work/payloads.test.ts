// Not quick: draws hundreds of payloads.
import { hostileValue, makeHostile, ODD_NAMES } from '@roundsman/testing/hostileValues'
import type { Prisma } from '@roundsman/db'
import fc from 'fast-check'
import { openForTests } from '@roundsman/testing'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineJob, JobError, type Job } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const any = defineJob({ name: 'any', payload: z.unknown() })

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, [any]))

beforeAll(async () => {
  await runtime.rows('create table "Business" ("id" int)')
})

beforeEach(async () => {
  await runtime.clear()
  await runtime.rows('delete from "Business"')
})

const arrived = async () => {
  const taken = await opened.take('any')
  await runtime.clear()
  return taken.map(({ payload }) => payload)
}

/** Where a program passes a payload. */
const WAYS = ['enqueue', 'enqueueMany', 'requestRun', 'schedules.upsert', 'runOnce']

type Answer = { kind: 'enqueued' } | { kind: 'refused'; error: JobError }

/** Enqueues in a transaction that catches what is thrown, and goes on. */
async function enqueue(payload: unknown, job: Job = any, by = 'enqueue'): Promise<Answer> {
  const write = async (tx: Prisma.TransactionClient): Promise<Answer> => {
    await tx.$executeRawUnsafe('insert into "Business" values (1)')
    const answer = await put().catch((error: unknown): Answer => {
      // Any other error may have come from the database.
      if (!(error instanceof JobError && error.code === 'payload_invalid')) throw error
      return { kind: 'refused', error }
    })
    await tx.$executeRawUnsafe('insert into "Business" values (2)')
    return answer

    async function put(): Promise<Answer> {
      if (by === 'requestRun') {
        await opened.client.requestRun(job, { actor: 'a', reason: 'b', payload }, { tx })
      } else if (by === 'schedules.upsert') {
        const schedule = { key: 'k', cron: '0 9 * * *', payload, actor: 'a' } as never
        await opened.client.schedules.upsert(tx, job, schedule)
      } else if (by === 'runOnce') {
        await runOnce({ ...runtime.runOptions, job, handler: async () => undefined, payload })
      } else if (by === 'enqueueMany') {
        await opened.client.enqueueMany(tx, job, [{ payload: {} }, { payload }] as never)
      } else await opened.client.enqueue(tx, job, payload)
      return { kind: 'enqueued' }
    }
  }
  // Prisma's 5 s are little on a busy machine.
  return await runtime.prisma.$transaction(write, { timeout: 60_000 })
}

const throughJson = (value: unknown): unknown => {
  const json = JSON.stringify(value) as string | undefined
  return json === undefined ? undefined : JSON.parse(json)
}

/** Returns whether the payload was refused or has arrived. Either way its transaction did everything else. */
async function checkOne(make: () => unknown): Promise<'refused' | 'enqueued'> {
  const answer = await enqueue(make())
  expect(await runtime.rows('delete from "Business" returning "id"')).toHaveLength(2)
  expect(await arrived()).toEqual(answer.kind === 'enqueued' ? [throughJson(make())] : [])
  expect(answer).toSatisfy(isToldInShort)
  return answer.kind
}

const isToldInShort = (answer: Answer) =>
  answer.kind === 'enqueued' ||
  (/: .+; .+/s.test(answer.error.message) &&
    answer.error.message.length < 10_000 &&
    !answer.error.retryable &&
    Array.isArray(answer.error.details.issues))

describe('whatever the payload', () => {
  it(
    'arrives as JSON has it, or is refused and leaves its transaction whole',
    { timeout: 300_000 },
    async () => {
      const kinds = new Set<string>()
      await fc.assert(
        fc.asyncProperty(hostileValue(), async (described) => {
          kinds.add(await checkOne(() => makeHostile(described)))
        }),
        { numRuns: 100 },
      )
      expect(kinds.size).toBe(2)
    },
  )

  it.each(ODD_NAMES)('is kept or refused as a part of it: %s', async (name) => {
    const make = () => makeHostile({ is: 'odd', name })
    expect(await checkOne(() => ({ odd: make() }))).toBeDefined()
    expect(await checkOne(() => [make()])).toBeDefined()
  })
})

const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)])
const cycle: Record<string, unknown> = {}
cycle.self = { again: cycle }

describe('a payload that would arrive changed', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['a bigint', { a: [1, 2n] }, 'a.1', /bigint.*as text/],
    ['a cycle', { a: cycle }, 'a.self.again', /contains itself.*an id/],
    ['NUL in a value', { a: 'b\0' }, 'a', /NUL.*take it out/],
    ['half of a pair in a value', ['\ud83d'], '0', /surrogate.*take it out/],
    ['NUL in a key', { a: { 'b\0': [1, 2] } }, 'a.b\ufffd', /NUL.*take it out/],
    ['half of a pair in a key', { '\udc4d': {} }, '\ufffd', /surrogate/],
    ['NaN', { a: Number.NaN }, 'a', /finite.*null/],
    ['Infinity', -Infinity, '', /finite/],
    ['an invalid date', { a: new Date(Number.NaN) }, 'a', /invalid date/],
    ['a toJSON that throws', { a: makeHostile({ is: 'odd', name: 'toJsonThrows' }) }, 'a', /plain/],
    [
      'a getter that throws',
      makeHostile({ is: 'odd', name: 'getterThrows' }),
      'broken',
      /cannot be read.*plain/,
    ],
    ['a function in a list', [1, () => 1], '1', /which JSON does not have.*null/],
    ['undefined in a list', { a: [undefined] }, 'a.0', /null/],
    ['a function', () => 1, '', /undefined, a function or a symbol/],
    ['a Map', { a: new Map([[1, 2]]) }, 'a', /leaves out.*plain/],
    ['a Date', { a: [new Date(0)] }, 'a.0', /becomes text.*z\.coerce\.date/],
    ['bytes', { a: Buffer.of(1) }, 'a', /become a list.*base64/],
    ['65 levels', deep(65), Array.from({ length: 64 }, () => '0').join('.'), /64 levels.*flatter/],
    ['9 MB', { a: 'x'.repeat(9 * 2 ** 20) }, '', /larger than 8 MB.*its id/],
  ])('is refused for %s', async (_, payload, path, problem) => {
    const answer = await enqueue(payload)
    if (answer.kind !== 'refused') throw new Error('it was taken')
    expect(
      answer.error.message.startsWith(`payload of any: ${path === '' ? '' : `${path}: `}`),
    ).toBe(true)
    expect(answer.error.message).toMatch(problem)
    expect(answer.error.details.issues).toMatchObject([
      { path: path === '' ? [] : path.split('.') },
    ])
    expect(await arrived()).toEqual([])
    expect(await runtime.rows('select from "Business"')).toHaveLength(2)
  })

  it.each(WAYS)('is refused by %s, which leaves nothing', async (by) => {
    const answer = await enqueue({ a: 1n }, any, by)
    if (answer.kind !== 'refused') throw new Error('it was taken')
    const argument = by === 'enqueueMany' ? 'items[1].payload' : 'payload'
    expect(answer.error.message.startsWith(`${argument} of any: a: `)).toBe(true)
    expect(await arrived()).toEqual([])
    // A run that was not requested leaves no record of the request, and one that was not started none of a run.
    expect(await runtime.rows('select from "JobAction"')).toEqual([])
    expect(await runtime.rows('select from "JobRun"')).toEqual([])
  })

  it.each([
    ['undefined', { a: undefined, b: 1 }],
    ['functions and symbols of an object', { a: () => 1, b: Symbol('b'), c: 1 }],
    ['no more than 64 levels', deep(64)],
    ['8 MB', 'x'.repeat(8 * 2 ** 20 - 2)],
    [
      'what a bigint is in JSON',
      { a: Object.assign(Object(1n), { toJSON: () => '1' }) as unknown },
    ],
    ['the key __proto__', JSON.parse('{"__proto__": {"a": 1}}') as unknown],
  ])('is taken as JSON has it: %s', async (_, payload) => {
    expect(await checkOne(() => payload)).toBe('enqueued')
  })

  it('is read once', async () => {
    expect(await enqueue(makeHostile({ is: 'odd', name: 'getterThatChanges' }))).toEqual({
      kind: 'enqueued',
    })
    expect(await arrived()).toEqual([{ changing: 1 }])
  })
})

describe('a schema', () => {
  const answering = (validate: () => unknown) => ({
    '~standard': { version: 1, vendor: 'odd', validate },
  })

  it.each<[string, unknown]>([
    [
      'throws',
      z.unknown().transform(() => {
        throw new Error('broken')
      }),
    ],
    ['is a promise that rejects', answering(() => Promise.reject(new Error('too late')))],
    ['makes a promise', answering(() => ({ value: Promise.reject(new Error('too late')) }))],
    ['is none', { safeParse: () => ({ success: true }) }],
  ])('that %s refuses the payload', async (_, payload) => {
    const strays: unknown[] = []
    const onStray = (error: unknown) => void strays.push(error)
    process.on('unhandledRejection', onStray)
    onTestFinished(() => void process.off('unhandledRejection', onStray))
    const answer = await enqueue({}, { ...any, payload } as never)
    if (answer.kind !== 'refused') throw new Error('it was taken')
    expect(answer.error.message).toMatch(/schema itself failed; .* synchronous/)
    expect(await arrived()).toEqual([])
    expect(await runtime.rows('select from "Business"')).toHaveLength(2)
    expect(strays).toEqual([])
  })

  it('that finds thousands of mistakes is told in short', async () => {
    const job = { ...any, payload: z.array(z.string()) } as never
    const answer = await enqueue(
      Array.from({ length: 5_000 }, (_, n) => n),
      job,
    )
    if (answer.kind !== 'refused') throw new Error('it was taken')
    expect(answer.error.message.length).toBeLessThanOrEqual(2_001)
    expect(answer.error.details.issues).toHaveLength(100)
  })
})

describe('many large payloads', () => {
  it('are divided among statements, and keep their unique keys', async () => {
    const large = 'x'.repeat(7 * 2 ** 20)
    const items = Array.from({ length: 6 }, (_, n) => ({
      payload: { n, large },
      options: n % 2 === 0 ? { uniqueKey: `k${n}` } : {},
    }))
    let statements = 0
    const results = await runtime.prisma.$transaction(
      (tx) => {
        const ask: typeof tx.$queryRawUnsafe = (text, ...values) => {
          statements++
          return tx.$queryRawUnsafe(text, ...values)
        }
        return opened.client.enqueueMany({ ...tx, $queryRawUnsafe: ask }, any, [
          ...items,
          items[0]!,
        ] as never)
      },
      { timeout: 60_000 },
    )
    expect(statements).toBe(6)
    expect(results.map(({ kind }) => kind)).toEqual([
      ...items.map(() => 'enqueued'),
      'alreadyQueued',
    ])
    expect(await runtime.rows('select from "JobWork"')).toHaveLength(6)
  })
})
