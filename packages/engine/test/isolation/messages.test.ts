import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readFromChild, type FromChild } from '../../src/isolation/messages.ts'

const fields = fc.dictionary(fc.string(), fc.jsonValue())
const number = fc.double({ noNaN: true, noDefaultInfinity: true })
const kind = <Kind extends FromChild['kind']>(name: Kind) => fc.constant(name)

const messages: fc.Arbitrary<FromChild> = fc.oneof(
  fc.record({ kind: kind('log'), token: fc.option(fc.string()), line: fc.string() }),
  fc.record({
    kind: kind('progress'),
    token: fc.string(),
    done: number,
    total: fc.option(number),
  }),
  fc.record({ kind: kind('rested'), token: fc.string(), usedBytes: number }),
  fc.record({
    kind: kind('ended'),
    token: fc.string(),
    result: fc.oneof(
      fc.record({ status: fc.constant('success' as const), details: fields }),
      fc.record({
        status: fc.constant('failed' as const),
        details: fields,
        error: fc
          .tuple(fields, fc.record({ code: fc.string(), message: fc.string() }))
          .map(([more, error]) => ({ ...more, ...error })),
        retryable: fc.boolean(),
      }),
      fc.record({
        status: fc.constant('failed' as const),
        details: fields,
        error: fc.record({ code: fc.constant('rate_limited'), message: fc.string() }),
        retryable: fc.constant(true),
        refusal: fc.record({
          retryAfterMs: number,
          limit: fc.option(fc.string()),
          isOfKey: fc.boolean(),
        }),
      }),
    ),
  }),
)

/** The message as it comes out of a frame. */
const sent = (message: unknown): unknown => JSON.parse(JSON.stringify(message))

it('reads whatever the process of a run sends', () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect(readFromChild(sent(message))).toEqual(sent(message))
    }),
  )
})

it('takes nothing along that it does not know', () => {
  fc.assert(
    fc.property(messages, fc.jsonValue(), (message, more) => {
      expect(readFromChild(sent({ ...message, more }))).toEqual(sent(message))
    }),
  )
})

it('refuses what lacks a part, or has another in its place', () => {
  fc.assert(
    fc.property(messages, fc.nat(), (message, pick) => {
      const whole = sent(message) as Record<string, unknown>
      const keys = Object.keys(whole)
      const key = keys[pick % keys.length] as string
      const { [key]: _, ...lacking } = whole
      expect(readFromChild(lacking)).toBeNull()
      expect(readFromChild({ ...whole, [key]: [] })).toBeNull()
    }),
  )
  const ended = { kind: 'ended', token: 't' }
  const error = { code: 'c', message: 'm' }
  const failed = { status: 'failed', details: {}, error, retryable: true }
  expect(readFromChild({ ...ended, result: failed })).not.toBeNull()
  for (const part of [
    { details: null },
    { status: 'skipped' },
    { retryable: 1 },
    { error: null },
    { error: { code: 'c' } },
    { error: { message: 'm' } },
    { refusal: {} },
    { refusal: { retryAfterMs: '1', limit: null, isOfKey: false } },
  ]) {
    expect(readFromChild({ ...ended, result: { ...failed, ...part } })).toBeNull()
  }
  // JSON can write this number, but JavaScript can't hold it.
  expect(readFromChild(JSON.parse('{"kind":"rested","token":"t","usedBytes":1e999}'))).toBeNull()
})

it('refuses any other value, and throws for none', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(readFromChild(value)).toBeNull()
    }),
  )
})

it.each([
  ['{"pages":3}', true],
  ['null', true],
  ['{', false],
  [7, false],
  ['"\\u0000"', false],
  [JSON.stringify('x'.repeat(70_000)), false],
])('takes a result that can be stored, and no other: %j', (result, isTaken) => {
  const message = { kind: 'ended', token: 'a', result: { status: 'success', details: {}, result } }
  expect(readFromChild(sent(message))).toEqual(isTaken ? message : null)
})
