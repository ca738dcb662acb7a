import {
  anyCharacter,
  hostileValue,
  makeHostile,
  ODD_NAMES,
} from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { storable } from '../../src/values/storable.ts'
import { storableText } from '../../src/values/storableText.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const MAX_BYTES = 65_536

const runtime = useTestRuntime()

const stored = (value: unknown) => {
  const made = storable(value, MAX_BYTES)
  return made.kind === 'stored' ? made.value : made.kind
}

/** Returns what PostgreSQL stores of it. Throws when PostgreSQL refuses it. */
async function keep(value: unknown): Promise<unknown> {
  const [row] = await runtime.rows<{ kept: unknown }>('select $1::jsonb as kept', [
    JSON.stringify(value),
  ])
  return row?.kept
}

/** Whether it has data properties only: a getter would run when it is read. */
function isPlain(value: unknown): boolean {
  return (
    typeof value !== 'object' ||
    value === null ||
    Object.values(Object.getOwnPropertyDescriptors(value)).every(
      (property) => 'value' in property && isPlain(property.value),
    )
  )
}

describe('whatever is stored', () => {
  it('can be told exactly how large it is, holds nothing foreign, and PostgreSQL takes it', async () => {
    await fc.assert(
      fc.asyncProperty(hostileValue(), async (described) => {
        const made = storable(makeHostile(described), MAX_BYTES)
        if (made.kind === 'tooLarge' || made.value === undefined) return
        const json = JSON.stringify(made.value)
        expect(made.bytes).toBe(Buffer.byteLength(json))
        expect(made.bytes).toBeLessThanOrEqual(MAX_BYTES)
        expect(isPlain(made.value)).toBe(true)
        await keep(made.value)
        // Converting the result again changes nothing.
        expect(JSON.stringify(stored(made.value))).toBe(json)
      }),
      { numRuns: 200 },
    )
  })

  it.each(ODD_NAMES)('is something PostgreSQL takes: %s', async (name) => {
    const made = { odd: stored({ in: [makeHostile({ is: 'odd', name })] }) }
    expect(await keep(made)).toEqual(JSON.parse(JSON.stringify(made)))
  })

  it('is what JSON makes of it, where JSON can', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value)
        // Of all such values, PostgreSQL would refuse only lone surrogates and NUL.
        fc.pre(!/\\u(0000|d[89a-f])/.test(json))
        expect(JSON.stringify(stored(value))).toBe(json)
      }),
    )
    const date = new Date(0)
    const odd = {
      date,
      map: new Map([[1, 2]]),
      not: Number.NaN,
      gone: undefined,
      f() {},
      n: [undefined],
    }
    expect(JSON.stringify(stored(odd))).toBe(JSON.stringify(odd))
  })
})

describe('a value that JSON or PostgreSQL would refuse', () => {
  it.each([
    { it: 'a count', value: { n: 42n }, is: { n: 42 } },
    {
      it: 'a large bigint',
      value: [2n ** 64n, -(2n ** 64n)],
      is: ['18446744073709551616', '-18446744073709551616'],
    },
    { it: 'a bigint of a million digits', value: [1n << 4_000_000n], is: ['[bigint]'] },
    { it: 'a boxed bigint', value: [Object(1n)], is: [1] },
    { it: 'NUL', value: { 'a\0': 'b\0c' }, is: { 'a\ufffd': 'b\ufffdc' } },
    { it: 'halves of pairs', value: { 'a\ud83d': '\udc4dc' }, is: { 'a\ufffd': '\ufffdc' } },
    {
      it: 'a key that is an accessor',
      value: JSON.parse('{"__proto__":{"a":1}}'),
      is: JSON.parse('{"__proto__":{"a":1}}'),
    },
    {
      it: 'a toJSON that throws',
      value: { a: makeHostile({ is: 'odd', name: 'toJsonThrows' }), b: 1 },
      is: { a: '[unreadable]', b: 1 },
    },
    {
      it: 'a getter that throws',
      value: makeHostile({ is: 'odd', name: 'getterThrows' }),
      is: { kept: 1, broken: '[unreadable]' },
    },
    {
      it: 'a revoked proxy',
      value: [makeHostile({ is: 'odd', name: 'revokedProxy' })],
      is: ['[unreadable]'],
    },
    {
      it: 'a cycle',
      value: makeHostile({ is: 'odd', name: 'cycle' }),
      is: { kept: 1, self: ['[circular]'] },
    },
    { it: 'a symbol', value: { a: Symbol('a'), b: [Symbol('b')] }, is: { b: [null] } },
  ])('is made into one that they take: $it', async ({ value, is }) => {
    const made = stored(value)
    expect(JSON.stringify(made)).toBe(JSON.stringify(is))
    expect(await keep(made)).toEqual(is)
  })

  it('what stands twice, not in itself, stands twice', () => {
    const one = { n: 1 }
    expect(stored([one, one])).toEqual([{ n: 1 }, { n: 1 }])
  })

  it('levels beyond the 64th are named as too deep, however many there are', async () => {
    for (const of of ['array', 'object'] as const) {
      const made = stored(makeHostile({ is: 'deep', levels: 100_000, of }))
      expect(JSON.stringify(made).match(/[[{]/g)).toHaveLength(64 + 1)
      expect(JSON.stringify(made)).toContain('[too deep]')
      await keep(made)
    }
  })

  it('reads each getter once, and calls each toJSON once', () => {
    const calls = { get: 0, toJSON: 0 }
    const value = {
      get a() {
        calls.get++
        return {
          toJSON() {
            calls.toJSON++
            return { b: 1 }
          },
        }
      },
    }
    const made = stored(value)
    JSON.stringify(made)
    expect(made).toEqual({ a: { b: 1 } })
    expect(calls).toEqual({ get: 1, toJSON: 1 })
  })
})

describe('what is too large', () => {
  it('keeps apart what differs in nothing but what is taken out of its key', () => {
    const made = storable({ '\0': 1, '\uDC4D': 2, '\uFFFD': 3, ['a\0']: 4 }, 1_000)
    const value = { '\uFFFD': 1, '\uFFFD\uFFFD': 2, '\uFFFD\uFFFD\uFFFD': 3, ['a\uFFFD']: 4 }
    expect(made).toEqual({
      kind: 'stored',
      value,
      bytes: Buffer.byteLength(JSON.stringify(value)),
    })
  })

  it('is said to be, exactly from the limit on', () => {
    const text = '👍"x'
    const bytes = Buffer.byteLength(JSON.stringify({ a: [text, 1, null] }))
    expect(storable({ a: [text, 1, null], gone: undefined }, bytes)).toMatchObject({ bytes })
    expect(storable({ a: [text, 1, null] }, bytes - 1)).toEqual({ kind: 'tooLarge' })
  })

  it.each([
    { it: 'a text', value: makeHostile({ is: 'large', of: 'text', count: 5_000_000 }) },
    {
      it: 'what holds itself twice at each level',
      value: makeHostile({ is: 'doubled', levels: 60 }),
    },
    { it: 'a list of great length', value: makeHostile({ is: 'odd', name: 'arrayOfGreatLength' }) },
    { it: 'bytes', value: { a: new Uint8Array(1_000_000) } },
    { it: 'a Buffer', value: Buffer.alloc(1_000_000) },
  ])('is found out by no more steps than there may be bytes: $it', ({ value }) => {
    let steps = 0
    const counted = new Proxy(
      {},
      {
        ownKeys: () => ['a'],
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
        get: (_, key) => (steps++, key === 'a' ? value : undefined),
      },
    )
    expect(stored(Array.from({ length: 100_000 }, () => counted))).toBe('tooLarge')
    expect(stored(value)).toBe('tooLarge')
    expect(steps).toBeLessThan(MAX_BYTES)
  })

  it('is what has no end but leaves nothing to write', () => {
    const names = Array.from({ length: 1_000 }, (_, at) => `f${at}`)
    let reads = 0
    const endless: object = new Proxy(
      {},
      {
        ownKeys: () => names,
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
        get: (_, key) => (reads++, key === 'f0' ? endless : undefined),
      },
    )
    const made = stored(Array.from({ length: 1_000 }, () => ({ toJSON: () => endless })))
    expect(made).toBe('tooLarge')
    expect(reads).toBeLessThan(2 * MAX_BYTES)
  })
})

describe('a text', () => {
  it('is cut between characters, whatever it holds, and PostgreSQL takes it', async () => {
    expect(storableText('x👍👍', 2)).toBe('x…')
    expect(storableText('x👍👍', 3)).toBe('x👍…')
    expect(storableText('x👍👍', 5)).toBe('x👍👍')
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: anyCharacter() }), fc.nat(20), async (text, length) => {
        const made = storableText(`${text}\ud83d\0`, length)
        expect(made.length).toBeLessThanOrEqual(length + 1)
        expect(made.isWellFormed() && !made.includes('\0')).toBe(true)
        expect(await runtime.rows('select $1::text as kept', [made])).toEqual([{ kept: made }])
      }),
      { numRuns: 50 },
    )
  })

  it.each(ODD_NAMES)('is made of anything, and nothing throws: %s', (name) => {
    expect(storableText(makeHostile({ is: 'odd', name }), 50).length).toBeLessThanOrEqual(51)
  })
})

it('does not write out a list, however long', () => {
  const list: unknown[] = []
  list.length = 100_000_000
  expect(storableText(list)).toBe('[list]')
  expect(storableText(new Float64Array(3))).toBe('[list]')
})
