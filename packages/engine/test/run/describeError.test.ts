import {
  hostileValue,
  makeHostile,
  ODD_NAMES,
  type HostileValue,
} from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/index.ts'
import { storable } from '../../src/values/storable.ts'
import { describeError } from '../../src/run/describeError.ts'

function makeError(described: HostileValue | Record<string, HostileValue>): unknown {
  if (typeof described.is === 'string') return makeHostile(described)
  const error = new Error('foreign')
  for (const [part, value] of Object.entries(described)) {
    Object.defineProperty(error, part, { value: makeHostile(value) })
  }
  return error
}

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
    const description = describeError(thrown)
    expect(description.code).toMatch(/^\w{1,64}$/)
    expect(storable(description, 10_000)).toMatchObject({ kind: 'stored', value: description })
  })

  it('has a short one, of whatever parts it is', () => {
    const value = hostileValue()
    const parts = fc.record({ message: value, code: value, stack: value, cause: value })
    fc.assert(
      fc.property(fc.oneof(parts, value), (described) => {
        const description = describeError(makeError(described))
        // The description can be stored as it is.
        expect(storable(description, 20_000)).toMatchObject({ kind: 'stored', value: description })
      }),
      { numRuns: 300 },
    )
  })

  it('is cut between characters', () => {
    const { message } = describeError(new Error(`x${'👍'.repeat(400)}`))
    expect(message).toBe(`x${'👍'.repeat(249)}…`)
  })

  it('of ours, says what it says, masked and as far as that can be stored', () => {
    const known = {
      code: 'too_warm',
      message: `${'It is warm. '.repeat(100)}Ask anna@example.com.`,
    }
    expect(describeError(new JobError(known.code, known.message))).toMatchObject({
      code: 'too_warm',
      message: known.message.replace('anna@example.com', '[redacted]'),
    })
    const odd = new JobError(1n as never, { toString: () => 'odd\0' } as never)
    expect(describeError(odd)).toMatchObject({ code: 'handler_failed', message: 'odd\ufffd' })
    expect(describeError(new JobError('x'.repeat(1_000), '')).code).toHaveLength(65)
  })

  it('of others, says its last paragraph: before it some libraries quote their call', () => {
    const call = 'prisma.user.create({ data: { iban: "DE89" } })'
    const thrown = new Error(`Invalid invocation:\n\n${call}\n\nUnique constraint failed`)
    expect(describeError(thrown).message).toBe('Unique constraint failed')
  })
})

describe('whatever an error is made of', () => {
  /** Texts of a payload as errors quote them: a value, the name of a property, what a schema has made of a value. */
  const secrets = ['Zqx1 Schmidt', 'Zqx1DE89370400440532013000', 'Zqx1\nMain Street', 'Zqx1.js:1:2']
  const written = fc.constantFrom(
    (text: string) => text,
    (text: string) => JSON.stringify({ [text]: text }),
    (text: string) => `${text}\n    at ${text}`,
    (text: string) => `a\n\n${text}\n    at f (${text})\n    at ${text} (/a/b.js:1:2)`,
    (text: string) => `a\n    at ${text}:3:4`,
  )

  it('only its messages and those of its causes hold what they quote', () => {
    fc.assert(
      fc.property(fc.constantFrom(...secrets), written, fc.boolean(), (text, write, isOurs) => {
        const make = (more: object) => {
          const message = write(text)
          const error = isOurs ? new JobError('failed', message) : new TypeError(message)
          return Object.assign(error, { stack: `${error.stack}\nCaused by: ${text}` }, more)
        }
        const error = make({ cause: make({ errors: [make({})] }), errors: [make({}), text] })
        const { message: _message, cause: _cause, errors: _errors, ...seen } = describeError(error)
        expect(JSON.stringify(seen)).not.toContain('Zqx1')
        expect(seen.stack).toMatch(/^at make \(packages\/engine\/test/)
      }),
      { numRuns: 300 },
    )
  })

  it('its frames begin after the message, also where that was changed', () => {
    const error = new Error('of Schmidt\n    at Main Street:5:1\n    at home')
    error.message += ' and more'
    expect(describeError(error).stack).toMatch(/^at packages\/engine\/test/)
  })

  it('its name and its codes are words', () => {
    class FeedError extends Error {
      override readonly name = 'FeedError'
      readonly code = 'feed_gone'
    }
    const error = new FeedError('x', { cause: Object.assign(new Error('y'), { code: 'E1234' }) })
    expect(describeError(error)).toMatchObject({
      name: 'FeedError',
      code: 'feed_gone',
      cause: { code: 'E1234' },
    })
    const odd = Object.assign(new Error('x'), { name: 'Of anna', code: 'of anna' })
    expect(describeError(odd)).toMatchObject({ code: 'handler_failed' })
    expect(describeError(odd)).not.toHaveProperty('name')
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

  it('knows frames of all kinds, and is bounded', () => {
    const frames = [
      'at async Promise.all (index 0)',
      'at new Feed (/a/b/c/feed.ts:1:2)',
      'at async Feed.read [as parse] (file:///a/b/c/feed.ts:1:2)',
      'at Object.<anonymous> (/a/b/c/feed.ts:1:2)',
      'at page (/a/b/(shop)/page.ts:1:2)',
      'at größe (file:///C:/b/c/feed.ts:1:2)',
      'at /a/b/c/feed.ts:1:2',
      'at C:\\b\\c\\feed.ts:1:2',
    ]
    const stack = ['Error: x', ...frames].join('\n    ')
    const seen = describeError(Object.assign(new Error('x'), { stack })).stack?.split('\n')
    expect(seen?.map((frame) => frame.split(' (')[0])).toEqual([
      'at new Feed',
      'at async Feed.read [as parse]',
      'at Object.<anonymous>',
      'at page',
      'at größe',
      'at …/b/c/feed.ts:1:2',
      'at …/b/c/feed.ts:1:2',
    ])
    const long = `Error: x\n${`    at f (/a/${'b'.repeat(500)}.ts:1:2)\n`.repeat(1_000)}`
    const cut = describeError(Object.assign(new Error('x'), { stack: long })).stack ?? ''
    expect(cut.length).toBeLessThanOrEqual(3_001)
  })
})

describe('causes', () => {
  it('are told with their codes, five in a row, and masked', () => {
    let error = new Error('no. 0')
    for (let at = 1; at < 9; at++) error = new Error(`no. ${at}`, { cause: error })
    const cause = Object.assign(new Error('refused', { cause: error }), { code: 'ECONNREFUSED' })
    const description = describeError(new JobError('mail', 'No mail', { cause }))
    expect(description.cause).toMatchObject({ code: 'ECONNREFUSED', message: 'refused' })
    expect(JSON.stringify(description).match(/"cause"/g)).toHaveLength(5)
    expect(describeError(new Error('x', { cause: 'anna@example.com' })).cause).toEqual({
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
