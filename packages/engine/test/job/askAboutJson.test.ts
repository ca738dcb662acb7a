import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, definePayload, JobError, type Job } from '../../src/index.ts'
import { storablePayload } from '../../src/job/storablePayload.ts'

const NOW = new Date('2026-03-10T12:00:00Z')

/** A class of the product's, with a JSON of its own. */
class Money {
  readonly cents: number
  constructor(cents: number) {
    this.cents = cents
  }
  toJSON(): number {
    return this.cents
  }
}

const jobOf = (payload: unknown) =>
  defineJob({ name: 'ship', description: 'Ships.', payload: payload as never }) as Job

function ask(schema: unknown, payload: unknown) {
  try {
    return { kind: 'stored' as const, ...storablePayload(jobOf(schema), payload) }
  } catch (error) {
    if (!(error instanceof JobError)) throw error
    return { kind: 'refused' as const, message: error.message, issues: error.details.issues }
  }
}

const bytesOfText = z.string().transform((text) => Buffer.from(text, 'base64'))

describe('a payload of which the handler would get something else', () => {
  const zodDate = 'a Date becomes text in JSON; use z.coerce.date()'
  const date = 'a Date becomes text in JSON; use a schema that makes a Date of the text'
  const bytes = 'bytes become a list of numbers in JSON; pass base64 text, or an id'

  it.each<[string, unknown, unknown, string]>([
    ['z.date()', z.object({ at: z.date() }), { at: NOW }, `at: ${zodDate}`],
    ['z.date() as the whole payload', z.date(), NOW, zodDate],
    ['z.date() in a list', z.object({ a: z.array(z.date()) }), { a: [NOW] }, `a.0: ${zodDate}`],
    ['z.date() in a record', z.record(z.string(), z.date()), { k: NOW }, `k: ${zodDate}`],
    [
      'z.date() in a union',
      z.union([z.object({ at: z.date() }), z.object({ n: z.number() })]),
      { at: NOW },
      `at: ${zodDate}`,
    ],
    [
      'a union with text',
      z.object({ at: z.union([z.string(), z.date()]) }),
      { at: NOW },
      `at: ${zodDate}`,
    ],
    ['z.any()', z.object({ at: z.any() }), { at: NOW }, `at: ${zodDate}`],
    ['z.unknown()', z.object({ a: z.unknown() }), { a: { at: NOW } }, `a.at: ${zodDate}`],
    ['a key that it lets pass', z.looseObject({}), { at: NOW }, `at: ${zodDate}`],
    ['all of them', z.any(), { a: NOW, b: [NOW] }, `a: ${zodDate}; b.0: ${zodDate}`],
    [
      'a class of its own that holds one',
      z.object({ at: z.any() }).transform(({ at }) => Object.assign(new Money(1), { at })),
      { at: NOW },
      `at: ${zodDate}`,
    ],
    [
      'a Buffer',
      z.object({ file: z.instanceof(Buffer) }),
      { file: Buffer.of(1) },
      `file: ${bytes}`,
    ],
    ['a typed array', z.object({ file: z.any() }), { file: Uint8Array.of(1) }, `file: ${bytes}`],
    [
      'an array buffer with toJSON',
      z.any(),
      { file: Object.assign(new ArrayBuffer(1), { toJSON: () => 'AA==' }) },
      `file: ${bytes}`,
    ],
    [
      'a Map with toJSON',
      z.any(),
      { m: Object.assign(new Map(), { toJSON: () => ({}) }) },
      'm: a Map becomes an empty object in JSON; pass an object',
    ],
    [
      'a Set with toJSON',
      z.any(),
      { s: Object.assign(new Set(), { toJSON: () => [] }) },
      's: a Set becomes an empty object in JSON; pass a list',
    ],
    [
      'a Date in a Map that it makes',
      z.record(z.string(), z.any()).transform((record) => new Map(Object.entries(record))),
      { at: NOW },
      `0.1: ${zodDate}`,
    ],
    [
      'another class',
      z.object({ price: z.instanceof(Money) }),
      { price: new Money(5) },
      'price: is something else in JSON, which the schema refuses (Invalid input: expected Money, received number); pass plain data',
    ],
    ['valibot', v.object({ at: v.date() }), { at: NOW }, `at: ${date}`],
    ['valibot, of any value', v.object({ at: v.any() }), { at: NOW }, `at: ${date}`],
    [
      'valibot, of bytes',
      v.object({ a: v.instance(Uint8Array) }),
      { a: Buffer.of(1) },
      `a: ${bytes}`,
    ],
    ['arktype', type({ at: 'Date' }), { at: NOW }, `at: ${date}`],
    ['arktype, of any value', type({ at: 'unknown' }), { at: NOW }, `at: ${date}`],
    [
      'a function',
      definePayload((value) => (value as { at: Date }).at.getTime()),
      { at: NOW },
      `at: ${date}`,
    ],
    [
      'nothing at all',
      z.undefined(),
      undefined,
      'is something else in JSON, which the schema refuses (Invalid input: expected undefined, received object); pass plain data',
    ],
  ])('is refused, with the path and what to do: %s', (_, schema, payload, problem) => {
    const answer = ask(schema, payload)
    expect(answer).toMatchObject({ kind: 'refused', message: `payload of ship: ${problem}` })
  })

  it('is refused where a Map and a Set would be empty, with what to pass', () => {
    const of = (a: unknown) => ask(z.object({ a: z.any() }), { a })
    expect(of(new Map([[1, 2]]))).toMatchObject({
      message: expect.stringMatching(/a plain object$/),
    })
    expect(of(new Set([1]))).toMatchObject({ message: expect.stringMatching(/a list$/) })
  })
})

describe('a payload of which the handler gets the same', () => {
  it.each<[string, unknown, unknown, unknown]>([
    ['z.coerce.date()', z.object({ at: z.coerce.date() }), { at: NOW }, { at: NOW }],
    ['a Date that is left out', z.object({ n: z.number() }), { n: 1, at: NOW }, { n: 1 }],
    ['a Date by default', z.object({ at: z.date().default(NOW) }), {}, { at: NOW }],
    [
      'a Date by default, for undefined',
      z.object({ at: z.coerce.date().default(NOW) }),
      { at: undefined },
      { at: NOW },
    ],
    [
      'a Date that it makes something else of',
      z.object({ at: z.coerce.date().transform((at) => at.getTime()) }),
      { at: NOW },
      { at: NOW.getTime() },
    ],
    [
      'bytes of text',
      z.object({ a: z.union([z.instanceof(Money), bytesOfText]) }),
      { a: 'AQ==' },
      { a: Buffer.of(1) },
    ],
    [
      'toJSON of another class',
      z.object({ price: z.any() }),
      { price: new Money(5) },
      { price: 5 },
    ],
    ['undefined', z.object({ a: z.number().optional() }), { a: undefined }, {}],
    [
      'valibot',
      v.object({
        at: v.pipe(
          v.union([v.string(), v.date()]),
          v.transform((at) => new Date(at)),
        ),
      }),
      { at: NOW },
      { at: NOW },
    ],
    ['arktype', type({ at: type('string.date.parse').or('Date') }), { at: NOW }, { at: NOW }],
  ])('is stored: %s', (_, schema, payload, accepted) => {
    expect(ask(schema, payload)).toMatchObject({
      kind: 'stored',
      payload: JSON.parse(JSON.stringify(payload)),
    })
    expect(ask(schema, payload)).toHaveProperty('accepted', accepted)
  })

  it('is stored as it was given, though the schema changes what it is asked about', () => {
    const schema = definePayload((value) => {
      const read = value as { at: unknown; n?: number }
      const at = new Date(String(read.at))
      if (typeof read.at === 'string') Object.assign(read, { at, n: 7 })
      return { at }
    })
    expect(ask(schema, { at: NOW })).toMatchObject({ payload: { at: NOW.toISOString() } })
    expect(ask(schema, { at: NOW })).not.toHaveProperty('payload.n')
  })

  it('is not asked about again where it was JSON already', () => {
    let calls = 0
    const schema = definePayload((value) => (calls++, value))
    for (const payload of [{}, { a: [1, null, { b: 'c' }] }, [], 'text', null]) {
      calls = 0
      expect(ask(schema, payload).kind).toBe('stored')
      expect(calls).toBe(1)
    }
    for (const payload of [{ a: undefined }, { a: NOW.toJSON, b: 1 }, { a: new Money(1) }]) {
      calls = 0
      expect(ask(schema, payload).kind).toBe('stored')
      expect(calls).toBe(2)
    }
  })

  it('may hold itself in what the schema makes of it', () => {
    const schema = z.object({ at: z.coerce.date() }).transform(({ at }) => {
      const made: Record<string, unknown> = { at }
      made.self = made
      return made
    })
    expect(ask(schema, { at: NOW }).kind).toBe('stored')
  })
})
