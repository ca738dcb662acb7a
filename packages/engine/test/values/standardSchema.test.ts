import { makeHostile } from '@roundsman/testing/hostileValues'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod3'
import {
  defineJob,
  definePayload,
  type Enqueue,
  type Handler,
  type HostTransaction,
  type Job,
  type PayloadOf,
} from '../../src/index.ts'
import { payloadProblem } from '../../src/internal.ts'
import { askSchema } from '../../src/values/askSchema.ts'

const described = { description: 'Ships a parcel.' } as const

const zod4Job = defineJob({
  ...described,
  name: 'zod4',
  payload: z.object({
    n: z.number(),
    to: z.object({ lines: z.array(z.string()) }),
    at: z.string().transform((text) => text.length),
  }),
})
const zod3Job = defineJob({
  ...described,
  name: 'zod3',
  payload: z3.object({
    n: z3.number(),
    to: z3.object({ lines: z3.array(z3.string()) }),
    at: z3.string().transform((text) => text.length),
  }),
})
const valibotJob = defineJob({
  ...described,
  name: 'valibot',
  payload: v.object({
    n: v.number(),
    to: v.object({ lines: v.array(v.string()) }),
    at: v.pipe(
      v.string(),
      v.transform((text) => text.length),
    ),
  }),
})
const arktypeJob = defineJob({
  ...described,
  name: 'arktype',
  payload: type({
    n: 'number',
    to: { lines: 'string[]' },
    at: type('string').pipe((text) => text.length),
  }),
})

const plainJob = defineJob({
  ...described,
  name: 'plain',
  payload: definePayload((value) => {
    const { userId } = value as { userId?: unknown }
    if (typeof userId !== 'number') throw new TypeError('userId must be a number')
    return { userId }
  }),
})

const good = { n: 1, to: { lines: ['Quay 4'] }, at: '2026' }

describe.each<Job>([zod4Job, zod3Job, valibotJob, arktypeJob])('a schema of $name', (job) => {
  it('hands on what it makes of a payload', () => {
    expect(askSchema(job.payload, good)).toEqual({ kind: 'accepted', value: { ...good, at: 4 } })
    expect(payloadProblem(job, good)).toBeNull()
  })

  it.each([
    ['a text in place of a number', { ...good, n: 'one' }, 'n'],
    ['a wrong item of a nested list', { ...good, to: { lines: ['Quay 4', 5] } }, 'to.lines.1'],
    ['a missing object', { n: 1, at: '2026' }, 'to'],
  ])('says where %s is, and why it refuses it', (_, payload, path) => {
    const answer = askSchema(job.payload, payload)
    if (answer.kind !== 'refused') throw new Error('it was taken')
    expect(answer.issues).toEqual([
      expect.objectContaining({ path: path.split('.'), code: expect.any(String) }),
    ])
    expect(answer.issues[0]?.message).toMatch(/\w{4}/)
    expect(payloadProblem(job, payload)).toBe(`${path}: ${answer.issues[0]?.message}`)
  })
})

describe('a schema that is asynchronous', () => {
  it.each([
    ['zod', z.any().refine(async () => true)],
    ['zod 3', z3.any().refine(async () => true)],
    [
      'valibot',
      v.pipeAsync(
        v.any(),
        v.checkAsync(async () => true),
      ),
    ],
    ['arktype', type('unknown').pipe(async () => Promise.reject(new Error('late')))],
  ])('is refused, and leaves no error behind: %s', async (_, payload) => {
    const strays: unknown[] = []
    const onStray = (error: unknown) => void strays.push(error)
    process.on('unhandledRejection', onStray)
    onTestFinished(() => void process.off('unhandledRejection', onStray))
    const job = defineJob({ ...described, name: 'late', payload: payload as never })
    expect(() => askSchema(job.payload, {})).toThrow(/^it is asynchronous/)
    expect(payloadProblem(job, {})).toMatch(/^payload: its schema itself failed; .* synchronous/)
    await new Promise((resolve) => setImmediate(resolve))
    expect(strays).toEqual([])
  })
})

describe('a schema of nobody’s', () => {
  const answering = (validate: () => unknown) =>
    ({ '~standard': { version: 1, vendor: 'odd', validate } }) as never

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    [
      'throws what is no error',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- foreign code may
        throw null
      },
    ],
    ['says nothing', () => undefined],
    ['says a text', () => 'fine'],
    ['neither accepts nor refuses', () => ({ success: true })],
    ['has issues that are no list', () => ({ issues: 'many' })],
    ['has an issue that is nothing', () => ({ issues: [null] })],
    ['is a proxy that throws', () => makeHostile({ is: 'odd', name: 'proxyThatThrows' })],
    [
      'has a getter that throws',
      () => ({
        get issues() {
          throw new Error('a getter')
        },
      }),
    ],
  ])('whose answer %s fails, and never throws at who asks', (_, validate) => {
    const job = defineJob({ ...described, name: 'odd', payload: answering(validate) })
    expect(payloadProblem(job, {})).toMatch(/^payload: its schema itself failed/)
  })

  it('may have odd issues, of which what can be read is told, and no more than a hundred', () => {
    const issues = [
      { message: 5, path: 'nowhere', code: 7 },
      { message: 'm'.repeat(1_000), path: [{ key: 'a\0' }, Symbol('b'), 2, {}] },
      ...Array.from({ length: 5_000 }, () => ({ message: 'again' })),
    ]
    const job = defineJob({ ...described, name: 'odd', payload: answering(() => ({ issues })) })
    const answer = askSchema(job.payload, {})
    if (answer.kind !== 'refused') throw new Error('it was taken')
    expect(answer.issues).toHaveLength(100)
    expect(answer.issues.slice(0, 3)).toEqual([
      { path: [], message: '5', code: 'custom' },
      {
        path: ['a\ufffd', 'Symbol(b)', '2', 'undefined'],
        message: `${'m'.repeat(500)}…`,
        code: 'custom',
      },
      { path: [], message: 'again', code: 'custom' },
    ])
  })

  it.each<[string, unknown]>([
    ['an object', { n: 'number' }],
    ['a schema of zod before 3.24', { safeParse: () => ({ success: true }), _def: {} }],
    ['one of another version', { '~standard': { version: 2, vendor: 'new', validate: () => 5 } }],
    ['one that cannot be asked', { '~standard': { version: 1, vendor: 'odd' } }],
    ['a proxy that throws', makeHostile({ is: 'odd', name: 'proxyThatThrows' })],
  ])('is refused where the job is defined, if it is none: %s', (_, payload) => {
    const define = () => defineJob({ ...described, name: 'ship', payload: payload as never })
    expect(define).toThrow(TypeError)
    expect(define).toThrow('Job "ship": payload must be a Standard Schema, such as z.object')
  })
})

it('can be a function of the host, whose error says why a payload is refused', () => {
  expect(askSchema(plainJob.payload, { userId: 7, more: 1 })).toEqual({
    kind: 'accepted',
    value: { userId: 7 },
  })
  expect(payloadProblem(plainJob, { userId: '7' })).toBe('payload: userId must be a number')
  expect(payloadProblem(plainJob, null)).toMatch(/^payload: Cannot destructure/)
  const late = defineJob({ ...described, name: 'late', payload: definePayload(async () => ({})) })
  expect(payloadProblem(late, {})).toContain('a schema must be synchronous')
  expectTypeOf<PayloadOf<typeof plainJob>>().toEqualTypeOf<{ userId: number }>()
})

it('types what handlers get and what is enqueued, whichever library the schema is of', () => {
  type Payload = { n: number; to: { lines: string[] }; at: number }
  expectTypeOf<PayloadOf<typeof zod4Job>>().toEqualTypeOf<Payload>()
  expectTypeOf<PayloadOf<typeof zod3Job>>().toEqualTypeOf<Payload>()
  expectTypeOf<PayloadOf<typeof valibotJob>>().toEqualTypeOf<Payload>()
  expectTypeOf<PayloadOf<typeof arktypeJob>>().toEqualTypeOf<Payload>()
  const none = defineJob({ ...described, name: 'none' })
  expectTypeOf<PayloadOf<typeof none>>().toEqualTypeOf<Record<string, never>>()

  const handler: Handler<PayloadOf<typeof arktypeJob>, unknown> = async ({ payload }) => ({
    length: payload.at,
  })
  const payload: Payload = { n: 1, to: { lines: [] }, at: 4 }
  const wrong = { ...payload, n: 'one' }
  const wrongs = (enqueue: Enqueue<HostTransaction>, tx: HostTransaction) => [
    enqueue(tx, zod4Job, payload),
    enqueue(tx, zod3Job, payload),
    enqueue(tx, valibotJob, payload),
    enqueue(tx, arktypeJob, payload),
    // @ts-expect-error -- no number
    enqueue(tx, zod4Job, wrong),
    // @ts-expect-error -- no number
    enqueue(tx, zod3Job, wrong),
    // @ts-expect-error -- no number
    enqueue(tx, valibotJob, wrong),
    // @ts-expect-error -- no number
    enqueue(tx, arktypeJob, wrong),
    // @ts-expect-error -- it takes none
    enqueue(tx, none, payload),
    // @ts-expect-error -- no schema
    defineJob({ ...described, name: 'none', payload: { safeParse: () => true } }),
  ]
  expect([handler, wrongs]).toHaveLength(2)
})

it('does not compile where a job with a schedule needs more than an empty payload', () => {
  const schedule = { cron: '0 4 * * *' }
  const n = { n: z.number() }
  const define = () => [
    defineJob({ ...described, name: 'none', schedule }),
    defineJob({ ...described, name: 'optional', schedule, payload: z.object(n).partial() }),
    defineJob({ ...described, name: 'some', schedule, payload: z.object({ n: n.n.default(1) }) }),
    defineJob({ ...described, name: 'any', schedule, payload: z.unknown() }),
    defineJob({ ...described, name: 'own', schedule, payload: definePayload(() => ({ n: 1 })) }),
    defineJob({
      ...described,
      name: 'v',
      schedule,
      payload: v.object({ n: v.optional(v.number(), 1) }),
    }),
    defineJob({ ...described, name: 'a', schedule, payload: type({ 'n?': 'number' }) }),
    // @ts-expect-error -- a tick has no n
    defineJob({ ...described, name: 'zod', schedule, payload: z.object(n) }),
    // @ts-expect-error -- a tick has no n
    defineJob({ ...described, name: 'zod3', schedule, payload: z3.object({ n: z3.number() }) }),
    // @ts-expect-error -- a tick has no n
    defineJob({ ...described, name: 'valibot', schedule, payload: v.object({ n: v.number() }) }),
    // @ts-expect-error -- a tick has no n
    defineJob({ ...described, name: 'arktype', schedule, payload: type({ n: 'number' }) }),
  ]
  expect(define()).toHaveLength(11)
})
