import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { createMask, maskText } from '../../src/values/maskText.ts'

describe('a text that is to be stored', () => {
  it.each([
    ['smtp://me:let@mein@mail.test/box', 'smtp://[redacted]@mail.test/box'],
    ['postgres://shop:a/b@db.test:5432/shop', 'postgres://[redacted]@db.test:5432/shop'],
    ['https://token@git.test/x', 'https://[redacted]@git.test/x'],
    ['http://feeds.test:8080/a/b failed', 'http://feeds.test:8080/a/b failed'],
    ['with Bearer abc.def, basic  xyz', 'with Bearer [redacted] basic  [redacted]'],
    ['{"Authorization": "Token abc"}', '{"Authorization": [redacted]'],
    ['cookie: sid=1; theme=dark\r\nhost: a', 'cookie: [redacted]\nhost: a'],
    ['x-api-key: abc', 'x-api-key: [redacted]'],
    [
      'host=db user=shop password=hunter2 dbname=x',
      'host=db user=shop password=[redacted] dbname=x',
    ],
    ['Server=db;Pwd="a b";Database=x', 'Server=db;Pwd=[redacted];Database=x'],
    ['GET /x?access_token=abc&page=2', 'GET /x?access_token=[redacted]&page=2'],
    ['mail anna@example.com', 'mail [redacted]'],
    ['mail jürgen.müller+x@büro.example.com!', 'mail [redacted]!'],
    ['GET /?to=anna%40example.com', 'GET /?to=[redacted]'],
    ['Unexpected token } in JSON', 'Unexpected token } in JSON'],
    ['Cannot find vite@8.1.2', 'Cannot find vite@8.1.2'],
    ['\u001b[31ma\u0007\r\nb', 'a\ufffd\nb'],
  ])('has no credentials and no addresses: %s', (text, masked) => {
    expect(maskText(text)).toBe(masked)
  })

  it('has no address that control characters take apart', () => {
    expect(maskText('an\u001b[1mna@exam\u001b[0mple.com')).toBe('[redacted]')
  })

  it('has no beginning of a word that was cut', () => {
    for (let at = 0; at < 40; at++) {
      const text = `${'a '.repeat(4_080)}${'b'.repeat(at)} smtp://me:letmein@mail.test anna@example.com`
      expect(maskText(text)).not.toMatch(/letm|anna|me:/)
    }
  })

  it('has no credential that any text surrounds', () => {
    const around = fc.array(
      fc.constantFrom('a', ' ', '@', '://', ':', '/', '\n', '=', '"', '%40'),
      {
        maxLength: 12,
      },
    )
    const secrets = ['smtp://me:Zqx1@mail.test', 'Bearer Zqx1', 'password=Zqx1', 'Zqx1@mail.test']
    fc.assert(
      fc.property(around, fc.constantFrom(...secrets), around, (before, secret, after) => {
        const masked = maskText(`${before.join('')} ${secret} ${after.join('')}`)
        expect(masked).not.toContain('Zqx1')
      }),
      { numRuns: 2_000 },
    )
  })

  // Each of these may make an expression go back over what it has read.
  it.each(['x', 'a://', 'Bearer ', 'a.', 'a@', 'a@a.', ':', 'password=', 'x:/', 'cookie: ', '=="'])(
    'takes no longer than it is long: %j',
    (part) => {
      const text = part.repeat(1_000_000)
      expect(maskText(text).length).toBeLessThanOrEqual(10 * 8_192)
    },
  )
})

describe('a job', () => {
  const iban = (text: string) => text.replaceAll(/DE\d{20}/g, '[IBAN]')

  it('masks what the patterns leave', () => {
    const { redact } = defineJob({ name: 'pay', redact: iban })
    expect(createMask(redact)('DE89370400440532013000 of anna@example.com')).toBe(
      '[IBAN] of [redacted]',
    )
  })

  it.each([
    ['throws', () => fail()],
    ['rejects', () => Promise.reject(new Error('late')) as never],
    ['returns no text', () => undefined as never],
  ])('withholds a text when its function %s', async (_how, redact) => {
    expect(createMask(redact)('anna')).toBe('[withheld: the job’s redact function failed]')
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('cannot bring in what could not be stored', () => {
    expect(createMask(() => `a\0\u001b[31m${'b'.repeat(20_000)}`)('x')).toMatch(
      /^a\ufffdb{1,8192}$/,
    )
  })

  it('that has no function to mask by is refused', () => {
    expect(() => defineJob({ name: 'pay', redact: /a/ as never })).toThrow(
      'redact must be a function of a text',
    )
  })

  function fail(): never {
    throw new Error('on purpose')
  }
})
