import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Job } from '../../src/index.ts'
import { isStorableResult, storableResult } from '../../src/run/storableResult.ts'

const made = (returned: unknown, result: Job['result'] = null) =>
  storableResult({ result, redact: (text) => text.replaceAll('Schmidt', '[name]') }, returned)

describe('what a handler has returned', () => {
  it('is stored as JSON, nothing as null, and so its schema is asked about it', () => {
    expect(made({ at: new Date(0) })).toEqual({
      kind: 'stored',
      json: '{"at":"1970-01-01T00:00:00.000Z"}',
    })
    expect(made(undefined, z.null())).toEqual({ kind: 'stored', json: 'null' })
    expect(made({ at: new Date(0) }, z.object({ at: z.string() }))).toMatchObject({
      kind: 'stored',
    })
  })

  it('is refused where its schema fails itself, by a message that is masked', () => {
    const broken: NonNullable<Job['result']> = {
      '~standard': {
        version: 1,
        vendor: 'another',
        validate(text) {
          throw Object.assign(new Error(`broken by ${String(text)}`), { code: 'odd' })
        },
      },
    }
    const answer = made('anna@example.com of Schmidt', broken)
    expect(answer).toMatchObject({
      kind: 'refused',
      error: {
        code: 'result_invalid',
        message: expect.stringMatching(
          /its schema itself failed: broken by \[redacted\] of \[name\]$/,
        ),
      },
    })
  })

  it('is told in short where its schema has much to say', () => {
    const wordy = z.string().refine(() => false, 'x'.repeat(10_000))
    const answer = made('a', wordy)
    expect(answer.kind === 'refused' && answer.error.message.length).toBeLessThanOrEqual(2_001)
  })
})

describe('a text from the process of a run', () => {
  it('is a result where a handler could have returned it, and it is not too long', () => {
    expect(['null', '{"a":1}', '"x"'].map(isStorableResult)).toEqual([true, true, true])
    const long = JSON.stringify('x'.repeat(65_536))
    const others = [undefined, { a: 1 }, '', '{', '"\\u0000"', long, `${' '.repeat(65_536)}1`]
    expect(others.map(isStorableResult)).toEqual(others.map(() => false))
  })
})
