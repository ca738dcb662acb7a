import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readEnvironment } from '@roundsman/node-app'
import { expect, test } from 'vitest'
import { readApiEnvironment } from '../../apps/api/src/env.ts'
import { readWorkerEnvironment } from '../../apps/worker/src/env.ts'
import { inboxVariables } from '../inbox/inboxVariables.ts'

const ROOT = join(import.meta.dirname, '../..')
const API_SECRET = { JWT_SECRET: 'a secret for tests, of thirty-two or more characters' }

/** Defaults that the page says in words, since no variable holds them. */
const IN_WORDS = [
  'CHROMIUM_PATH',
  'DATABASE_URL',
  'DATA_DIR',
  'DEMO_DATA',
  'DEMO_JOBS',
  'HOST',
  'JWT_SECRET',
  'MAIL_DOMAIN',
  'OTEL_SERVICE_NAME',
  'WORKER_JOBS',
]
/** Told to processes by those that start them, and by nobody else. */
const OURS = /^ROUNDSMAN_/

/** The defaults on the page, by variable. A cell may have several of each. */
function readPage(): Map<string, string> {
  const text = readFileSync(join(ROOT, 'docs/environment.md'), 'utf8')
  return new Map(
    [...text.matchAll(/^\| (`[A-Z].*?) \| (.*?) \|/gm)].flatMap(([, names = '', said = '']) => {
      const variables = [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
      const defaults = said.replaceAll('`', '').split(', ')
      return variables.map((name, nth) => [name, defaults[nth] ?? defaults[0] ?? ''] as const)
    }),
  )
}

/** What a process reads where nothing is set, in the page's words. */
function readDefaults(environment: object): Map<string, string> {
  return new Map(
    Object.entries(environment).map(([name, value]) => {
      const isNone = value === undefined || (Array.isArray(value) && value.length === 0)
      const { address = value } = (value ?? {}) as { address?: unknown }
      return [name, isNone ? 'none' : String(address)]
    }),
  )
}

test('the page of the environment says the defaults that API, worker and inbox have', () => {
  const page = readPage()
  const read = new Map([
    ...readDefaults(readApiEnvironment(API_SECRET)),
    ...readDefaults(readWorkerEnvironment({})),
    ...readDefaults(readEnvironment(inboxVariables, {})),
  ])
  const said = [...page].filter(([name]) => !IN_WORDS.includes(name) && !name.startsWith('SELLER_'))
  expect(said.length).toBeGreaterThan(20)
  expect(Object.fromEntries(said)).toEqual(
    Object.fromEntries(said.map(([name]) => [name, read.get(name) ?? 'none'])),
  )
})

test('the page leaves out no variable that API or worker reads', () => {
  const page = readPage()
  const read = [readApiEnvironment(API_SECRET), readWorkerEnvironment({})].flatMap((environment) =>
    Object.keys(environment),
  )
  const variables = new Set(
    read.filter((name) => /^[A-Z][A-Z0-9_]+$/.test(name) && !OURS.test(name)),
  )
  expect([...variables].filter((name) => !page.has(name))).toEqual([])
})

test.each([
  ['development', '127.0.0.1'],
  ['production', '0.0.0.0'],
])('both listen where the page says, in %s', (NODE_ENV, host) => {
  expect(readFileSync(join(ROOT, 'docs/environment.md'), 'utf8')).toContain(
    '| `HOST` | 127.0.0.1; 0.0.0.0 in production |',
  )
  const source = { ...API_SECRET, NODE_ENV, DATABASE_URL: 'postgresql://localhost/shop' }
  expect(readApiEnvironment(source).HOST).toBe(host)
  expect(readWorkerEnvironment(source).HOST).toBe(host)
})
