import { EnvironmentError } from '@roundsman/node-app'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readApiEnvironment } from '../src/env.ts'

const SECRET = 'a secret for tests, of thirty-two or more characters'

function problemsOf(source: NodeJS.ProcessEnv): readonly string[] {
  try {
    readApiEnvironment(source)
  } catch (error) {
    if (error instanceof EnvironmentError) return error.problems
    throw error
  }
  return []
}

it('needs nothing: it listens on 127.0.0.1:3000 and makes its own secret', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'roundsman-env-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true }))
  const env = readApiEnvironment({ DATA_DIR: dataDir })
  expect(env).toMatchObject({
    NODE_ENV: 'development',
    PORT: 3000,
    HOST: '127.0.0.1',
    ROUNDSMAN_SUPERVISED: false,
    ROUNDSMAN_HELD: false,
  })
  expect(env.JWT_SECRET).toBe(readApiEnvironment({ DATA_DIR: dataDir }).JWT_SECRET)
})

it('listens everywhere in production, unless told otherwise', () => {
  const production = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://localhost/x',
    JWT_SECRET: SECRET,
  }
  expect(readApiEnvironment(production).HOST).toBe('0.0.0.0')
  expect(readApiEnvironment({ ...production, HOST: '::1' }).HOST).toBe('::1')
})

it('makes no secret where one is given', () => {
  const env = readApiEnvironment({ DATA_DIR: '/dev/null/nowhere', JWT_SECRET: SECRET })
  expect(env.JWT_SECRET).toBe(SECRET)
})

it('tells all problems together, each with its variable', () => {
  const problems = problemsOf({
    NODE_ENV: 'production',
    PORT: '65536',
    LOG_LEVEL: 'loud',
    ROUNDSMAN_SUPERVISED: 'yes',
    METRICS_TOKEN: 'short',
  })
  expect(
    problems
      .map((problem) => problem.split(':')[0])
      .toSorted((a, b) => String(a).localeCompare(String(b))),
  ).toEqual([
    'DATABASE_URL',
    'JWT_SECRET',
    'LOG_LEVEL',
    'METRICS_TOKEN',
    'PORT',
    'ROUNDSMAN_SUPERVISED',
  ])
  expect(problems.join('\n')).toContain('node -p "crypto.randomBytes(32).toString(\'base64url\')"')
})

describe('refuses a secret', () => {
  it('of fewer than 32 characters, without repeating it', () => {
    const problems = problemsOf({ JWT_SECRET: 'hunter2' })
    expect(problems).toEqual([expect.stringMatching(/^JWT_SECRET: .*32 characters/)])
    expect(problems[0]).not.toContain('hunter2')
  })

  it.each([' '.repeat(40), 'a'.repeat(32), 'abc'.repeat(20), 'password'.repeat(5)])(
    'that is long and can be guessed, such as %j, without repeating it',
    (secret) => {
      const problems = problemsOf({ JWT_SECRET: secret })
      expect(problems).toEqual([
        expect.stringMatching(
          /^JWT_SECRET: has fewer than 8 different characters.*; make one with/,
        ),
      ])
      expect(problems[0]).not.toContain(secret)
    },
  )

  it('that is left out in production, and makes none', () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roundsman-env-'))
    onTestFinished(() => rmSync(dataDir, { recursive: true }))
    const source = { NODE_ENV: 'production', DATABASE_URL: 'postgresql://localhost/x' }
    const problems = problemsOf({ ...source, DATA_DIR: dataDir })
    expect(problems).toEqual([expect.stringMatching(/^JWT_SECRET: is not set/)])
    expect(readdirSync(dataDir)).toEqual([])
  })
})

it('takes an address of traces, which has a place for their id', () => {
  const read = (TRACE_URL: string) => readApiEnvironment({ JWT_SECRET: SECRET, TRACE_URL })
  const address = 'https://jaeger.example.com/trace/{traceId}'
  expect(read(address).TRACE_URL).toBe(address)
  for (const wrong of ['/trace/{traceId}', 'javascript:"{traceId}"', 'https://jaeger.example.com'])
    expect(problemsOf({ TRACE_URL: wrong, JWT_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^TRACE_URL: is not the address of a trace; /),
    ])
})

it('takes a domain for the ids of messages, and leaves it to the application otherwise', () => {
  const read = (MAIL_DOMAIN?: string) =>
    readApiEnvironment({ JWT_SECRET: SECRET, ...(MAIL_DOMAIN !== undefined && { MAIL_DOMAIN }) })
  expect(read().MAIL_DOMAIN).toBeUndefined()
  for (const domain of ['example.com', 'mail-1.Example.com', 'localhost']) {
    expect(read(domain).MAIL_DOMAIN).toBe(domain)
  }
})

for (const domain of [
  '-',
  'a@example.com',
  'example.com>',
  'example.com.',
  'a b',
  'a\nb',
  'é.com',
]) {
  it(`refuses the domain ${JSON.stringify(domain)}`, () => {
    expect(problemsOf({ MAIL_DOMAIN: domain, JWT_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^MAIL_DOMAIN: /),
    ])
  })
}
