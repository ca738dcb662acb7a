import {
  hostileValue,
  makeHostile,
  ODD_NAMES,
  type HostileValue,
} from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/index.ts'
import { storable } from '../../src/job/storable.ts'
import { describeError } from '../../src/run/describeError.ts'
import { createRedact } from '../../src/job/redact.ts'

function makeError(described: HostileValue | Record<string, HostileValue>): unknown {
  if (typeof described.is === 'string') return makeHostile(described)
  const error = new Error('foreign')
  for (const [part, value] of Object.entries(described)) {
    Object.defineProperty(error, part, { value: makeHostile(value) })
  }
  return error
}

const redact = (text: string, payload: unknown) => createRedact(payload)(text)

describe('what others have written', () => {
  it('tells no credentials, no address, and no text of the payload', () => {
    const said =
      'Mail anna@example.com by smtp://me:let@mein@mail.test/box with Bearer abc.def, basic  xyz, order 12345'
    expect(redact(said, { order: 12345, kind: 'Mai' })).toBe(
      'Mail [redacted] by smtp://[redacted]@mail.test/box with Bearer [redacted] basic  [redacted] order [redacted]',
    )
  })

  it('tells no part of a text that contains another one of the payload', () => {
    const payload = { name: 'anna', address: 'anna[at]example', all: ['annabel anna[at]example'] }
    expect(redact('annabel anna[at]example wrote, and anna[at]example, and anna!', payload)).toBe(
      '[redacted] wrote, and [redacted], and [redacted]!',
    )
    expect(redact('one two three', ['one two', 'two three'])).toBe('[redacted]')
  })

  it('is not looked through again where something was taken out', () => {
    const payload = ['secret', 'redacted', '[redacted]', 'reda', 'cted', 'acte']
    expect(redact('a secret, a [redacted] one', payload)).toBe('a [redacted], a [redacted] one')
  })

  it('tells nothing of a text that goes on where it was cut, or begins before its last paragraph', () => {
    const long = 'It is cold in here. '.repeat(1_000)
    expect(redact(long, [long])).toBe('[redacted]')
    expect(redact(`x ${long}`, [long])).toBe('x [redacted]')
    const letter = 'Dear Anna,\n\nyour diagnosis is bad.'
    expect(describeError(new Error(`cannot send ${letter}`), { letter }).message).toBe('[redacted]')
  })

  it('tells nothing that was quoted', () => {
    const text = 'a "text"\nof two lines'
    expect(redact(`call({ text: ${JSON.stringify(text)} })`, { text })).toBe(
      'call({ text: "[redacted]" })',
    )
  })

  it('never holds a text of the payload, and is never much longer than it was', () => {
    const alphabet = fc.constantFrom('a', 'b', 'ab', 'reda', 'cted', '[', ']', ' ', '://', '@', '.')
    const word = fc.array(alphabet, { maxLength: 12 }).map((parts) => parts.join(''))
    const payloads = fc.array(fc.oneof(word, fc.string({ minLength: 4 })), { maxLength: 12 })
    const texts = fc.tuple(payloads, fc.array(fc.oneof(word, fc.nat()), { maxLength: 20 }))
    fc.assert(
      fc.property(texts, ([payload, parts]) => {
        const said = parts
          .map((part) => (typeof part === 'string' ? part : (payload[part % payload.length] ?? '')))
          .join('')
        const text = redact(said, payload)
        for (const piece of text.split('[redacted]')) {
          const told = payload.filter((secret) => secret.length >= 4 && piece.includes(secret))
          expect(told).toEqual([])
        }
        expect(text.length).toBeLessThanOrEqual(said.length * '[redacted]'.length)
      }),
      { numRuns: 2_000 },
    )
  })

  it('says nothing at all where the payload cannot be gone through', () => {
    const payload = Array.from({ length: 300_000 }, (_, at) => `secret ${at}`)
    expect(redact('it was secret 7', payload)).not.toContain('secret 7')
    const broken = makeHostile({ is: 'odd', name: 'getterThrows' })
    expect(redact('it was secret 7', ['secret 7', broken])).not.toContain('secret 7')
  })
})

it.each([
  [{ code: 'ECONNREFUSED' }, 'ECONNREFUSED'],
  [{ code: 'not_there', cause: { code: '40P01' } }, '40P01'],
  [{ code: 'UND_ERR_SOCKET', cause: { code: 'ECONNRESET' } }, 'UND_ERR_SOCKET'],
  [{ code: 'guard_blocked' }, 'handler_failed'],
  [{}, 'handler_failed'],
])('an error without a code has that of a system which caused it: %j', (cause, code) => {
  const thrown = new TypeError('fetch failed', { cause: causeOf(cause) })
  expect(describeError(thrown)).toMatchObject({ code, message: 'fetch failed' })
  const own = new JobError('partner_down', 'No answer', { cause: causeOf(cause) })
  expect(describeError(own).code).toBe('partner_down')
})

interface Coded {
  code?: string
  cause?: Coded
}

function causeOf({ code, cause }: Coded): Error {
  const error = new Error('broken', { ...(cause && { cause: causeOf(cause) }) })
  return Object.assign(error, code === undefined ? {} : { code })
}

describe('whatever is thrown', () => {
  it.each(ODD_NAMES)('has a description that can be stored: %s', (name) => {
    const thrown = makeHostile({ is: 'odd', name })
    const description = describeError(thrown, { text: 'foreign' })
    expect(description.code).toMatch(/^\w{1,64}$/)
    expect(storable(description, 10_000)).toMatchObject({ kind: 'stored', value: description })
  })

  it('has a short one, of whatever parts it is', () => {
    const value = hostileValue()
    const parts = fc.record({ message: value, code: value, stack: value, cause: value })
    fc.assert(
      fc.property(fc.oneof(parts, value), (described) => {
        const description = describeError(makeError(described), {})
        // The description can be stored as it is.
        expect(storable(description, 20_000)).toMatchObject({ kind: 'stored', value: description })
      }),
      { numRuns: 300 },
    )
  })

  // Each of these once took seconds or for ever, or used up the whole stack.
  it.each([
    { it: 'a word of 5 MB', message: 'x'.repeat(5_000_000), payload: {} },
    { it: 'many schemes', message: 'a://'.repeat(1_000_000), payload: {} },
    { it: 'many blanks', message: `Bearer${' '.repeat(5_000_000)}`, payload: {} },
    { it: 'many addresses', message: 'a.'.repeat(1_000_000), payload: {} },
    {
      it: 'texts of its own mark',
      message: 'secret',
      payload: Array.from({ length: 30 }, (_, at) => ['reda', 'cted', 'secret'][at % 3]),
    },
    {
      it: '100,000 levels',
      message: 'x',
      payload: makeHostile({ is: 'deep', levels: 100_000, of: 'array' }),
    },
    {
      it: '100,000 texts',
      message: 'text 99999 '.repeat(10_000),
      payload: Array.from({ length: 100_000 }, (_, at) => `text ${at}`),
    },
    {
      it: 'texts that all begin alike',
      message: 'a'.repeat(100_000),
      payload: Array.from({ length: 2_000 }, (_, at) => `${'a'.repeat(at)}b`),
    },
  ])('costs no more than it is long, and is cut: $it', ({ message, payload }) => {
    const description = describeError(new Error(message), payload)
    expect(description.message.length).toBeLessThanOrEqual(501)
    expect(description.message).not.toContain('text 99999')
  })

  it('is cut between characters', () => {
    const { message } = describeError(new Error(`x${'👍'.repeat(400)}`))
    expect(message).toBe(`x${'👍'.repeat(249)}…`)
  })

  it('of ours, says what it says, as far as that can be stored', () => {
    const known = { code: 'too_warm', message: 'anna@example.com is too warm' }
    expect(describeError(new JobError(known.code, known.message), known)).toMatchObject(known)
    const odd = new JobError(1n as never, { toString: () => 'odd\0' } as never)
    expect(describeError(odd)).toMatchObject({ code: 'handler_failed', message: 'odd\ufffd' })
    expect(describeError(new JobError('x'.repeat(1_000), '')).code).toHaveLength(65)
  })
})

describe('the stack', () => {
  function failHere(): Error {
    return new Error('on purpose')
  }

  it('is of frames of the product, with paths that tell nothing of the machine', () => {
    const { stack = '' } = describeError(failHere())
    expect(stack.split('\n')[0]).toMatch(
      /^at failHere \(packages\/engine\/test\/run\/describeError\.test\.ts:\d+:\d+\)$/,
    )
    expect(stack).not.toMatch(/node_modules|node:|file:|on purpose/)
    expect(stack).not.toContain(process.cwd())
  })

  it('names what lies elsewhere by its last folders', () => {
    const error = Object.assign(new Error('x'), {
      stack:
        'Error: x\n    at f (file:///home/anna/shop/src/jobs/mail.ts:3:4)\n    at C:\\Work\\anna\\b.js:1:2',
    })
    expect(describeError(error).stack).toBe(
      'at f (…/src/jobs/mail.ts:3:4)\nat …/Work/anna/b.js:1:2',
    )
  })

  it('is the first few frames of others where there are no others, and of ours none', () => {
    const stack = `Error: x\n${'    at f (/a/node_modules/b/c/d.js:1:2)\n'.repeat(9)}`
    expect(describeError(Object.assign(new Error('x'), { stack })).stack?.split('\n')).toEqual(
      Array.from({ length: 3 }, () => 'at f (…/b/c/d.js:1:2)'),
    )
    expect(describeError(Object.assign(new JobError('x', 'x'), { stack }))).not.toHaveProperty(
      'stack',
    )
  })

  it('tells no text of the payload', () => {
    const error = Object.assign(new Error('x'), {
      stack: 'Error: x\n    at secret (/a/b/c/d.js:1:2)',
    })
    expect(describeError(error, ['secret']).stack).toBe('at [redacted] (…/b/c/d.js:1:2)')
  })
})

describe('causes', () => {
  it('are told with their codes, five in a row, and redacted', () => {
    let error = new Error('no. 0 of secret')
    for (let at = 1; at < 9; at++) error = new Error(`no. ${at}`, { cause: error })
    const cause = Object.assign(new Error('refused', { cause: error }), { code: 'ECONNREFUSED' })
    const description = describeError(new JobError('mail', 'No mail', { cause }), ['secret'])
    expect(description.cause).toMatchObject({ code: 'ECONNREFUSED', message: 'refused' })
    expect(JSON.stringify(description).match(/"cause"/g)).toHaveLength(5)
    expect(describeError(new Error('x', { cause: 'secret' }), ['secret']).cause).toEqual({
      message: '[redacted]',
    })
  })

  it('that cause each other are told once', () => {
    const error = new Error('one')
    error.cause = new Error('two', { cause: error })
    expect(describeError(error).cause).toEqual({ message: 'two', cause: { message: 'one' } })
  })

  it('that are several are told, the first five', () => {
    const errors = Array.from({ length: 9 }, (_, at) => new Error(`no. ${at}`))
    const description = describeError(new AggregateError(errors))
    expect(description).toMatchObject({ message: 'AggregateError', errors: { length: 5 } })
    expect(description.errors?.[0]).toEqual({ message: 'no. 0' })
  })
})
