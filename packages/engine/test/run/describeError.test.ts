import {
  hostileValue,
  makeHostile,
  ODD_NAMES,
  type HostileValue,
} from '@roundsman/testing/hostileValues'
import { inspect } from 'node:util'
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
    expect(redact(`x-${long}`, [long])).toBe('x-[redacted]')
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

  it('tells nothing of a text as inspect and URLs write it, of its lines, or of a long stretch of it', () => {
    const payload = {
      letter:
        'Anna Schmidt\nMain Street 5\n12345 Berlin\nin Germany, on the first floor of the house',
      quoted: `it's "Anna" \u0007\u001b[31m`,
      query: 'Anna & Söhne',
      token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0',
    }
    const texts = [
      inspect(payload),
      inspect({ deep: [[payload]] }, { depth: 9, compact: false, breakLength: 60 }),
      inspect(payload.quoted),
      `GET https://shop.test/?q=${encodeURIComponent(payload.query)}`,
      `GET https://shop.test/?${new URLSearchParams({ q: payload.query }).toString()}`,
      `token ${payload.token.slice(10, 50)}…`,
      `for ${payload.letter.split('\n')[0]}`,
    ]
    for (const text of texts) {
      const told = redact(text, payload)
      expect(told).toContain('[redacted]')
      expect(told).not.toMatch(/Anna|Schmidt|Street|Berlin|Germany|floor|S%C3|IkpX/)
    }
  })

  it('tells the host that both a text and the reason name', () => {
    const payload = { feed: 'https://feeds.example.com/autumn.xml' }
    expect(redact('connect to https://feeds.example.com failed', payload)).toBe(
      'connect to https://feeds.example.com failed',
    )
  })

  it('tells nothing that is taken apart by what colours it, and colours nothing', () => {
    expect(redact('\u001b[31mse\u001b[1mcret\u001b[0m \u0007of\r\nus', ['secret'])).toBe(
      '[redacted] \ufffdof\nus',
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

describe('whatever an error is made of', () => {
  const character = fc.constantFrom(...Array.from('aB3 _-.\'"`\\/&\n\t\u001b\u0085ü👍'))
  const secret = fc
    .array(character, { minLength: 4, maxLength: 60 })
    .map((all) => `Zqx1${all.join('').trim()}`)
  const written = fc.constantFrom(
    (text: string) => text,
    (text: string) => inspect({ text }),
    (text: string) => JSON.stringify({ text }),
    (text: string) => `GET /?q=${encodeURIComponent(text)}`,
    (text: string) => `Error: x\n    at ${text} (/a/b/c/d/${text}.js:1:2)`,
    (text: string) => text.replaceAll(/\W/g, ''),
    (text: string) => `${text.slice(0, 2)}\u001b[1m${text.slice(2)}`,
  )
  const places = fc.array(written, { minLength: 7, maxLength: 7 })

  it('nothing of it holds a text of the payload, or steers a terminal', () => {
    fc.assert(
      fc.property(secret, places, (text, [...write]) => {
        const parts = ['message', 'name', 'code', 'stack'] as const
        const make = (more: object = {}) =>
          Object.assign(
            new Error('x'),
            Object.fromEntries(parts.map((part, at) => [part, write[at]?.(text)])),
            more,
          )
        const error = make({ cause: make({ errors: [make()] }), errors: [make(), text] })
        const word = text.replaceAll(/\W/g, '')
        const description = describeError(error, { text, word })
        const told: string[] = []
        JSON.stringify(description, (_key, value: unknown) => {
          if (typeof value === 'string') told.push(value)
          return value
        })
        for (const said of told) {
          expect(said).not.toContain('Zq')
          // oxlint-disable-next-line no-control-regex -- these are what is looked for
          expect(said).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
          expect(said.length).toBeLessThanOrEqual(3_001)
        }
        for (const said of [description.code, description.name, description.cause?.code])
          expect(said ?? '').toMatch(/^\w{0,64}$/)
      }),
      { numRuns: 500 },
    )
  })

  it('its name and its codes are told where the payload does not hold them', () => {
    class FeedError extends Error {
      override readonly name = 'FeedError'
      readonly code = 'feed_gone'
    }
    const error = new FeedError('x', { cause: Object.assign(new Error('y'), { code: 'E1234' }) })
    expect(describeError(error, { of: 'shop' })).toMatchObject({
      name: 'FeedError',
      code: 'feed_gone',
      cause: { code: 'E1234' },
    })
    const { name, code, cause } = describeError(error, ['FeedError', 'feed_gone', 'E1234'])
    expect([name, code, cause?.code]).toEqual([undefined, 'handler_failed', undefined])
  })

  it('a code of ours is one line, and none that says nothing', () => {
    const codeOf = (code: string) => describeError(new JobError(code, '')).code
    expect(codeOf('card\r\nBcc: anna\u2028\u001b[31m \0')).toBe('card Bcc: anna \ufffd')
    expect(codeOf(' \n\u001b[0m')).toBe('handler_failed')
    expect(codeOf('\ud83d'.repeat(200))).toBe(`${'\ufffd'.repeat(64)}…`)
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

  it('tells nothing of a text that goes over several lines, and is bounded, whoever has written it', () => {
    const secret = `first line of it\n    at second (/a/line.js:1:2)\n    at the third`
    const stack = `Error: x\n    at ${secret}\n    at g (/a/b/c/d.js:1:2)\u001b[31m\n`
    const error = Object.assign(new Error('x'), { stack: stack + '    at long (/'.repeat(20_000) })
    const { stack: told = '' } = describeError(error, { secret })
    expect(told).toMatch(/^at \[redacted\]\nat g \(…\/b\/c\/d\.js:1:2\)\nat long/)
    expect(told).not.toMatch(/line|third/)
    expect(told.length).toBeLessThanOrEqual(3_001)
  })

  it('is of the product whatever the payload holds of its paths', () => {
    const { stack = '' } = describeError(failHere(), { of: 'packages', at: 'node' })
    expect(stack.split('\n')[0]).toMatch(
      /^at failHere \(.*\/run\/describeError\.test\.ts:\d+:\d+\)$/,
    )
    expect(stack).not.toMatch(/vitest|_modules/)
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
