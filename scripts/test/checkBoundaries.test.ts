import { describe, expect, test } from 'vitest'
import { checkBoundaries } from '../check/checkBoundaries.ts'
import { codeOf } from './codeOf.ts'

/** The problems of a tree with these files. */
const problemsOf = (files: Readonly<Record<string, string>>) => checkBoundaries(codeOf(files))

const allowed = [
  ['apps/api/src/a.ts', '@roundsman/engine/client'],
  ['apps/worker/test/a.test.ts', '@roundsman/testing'],
  ['packages/engine/test/tick/a.test.ts', '../../src/tick/scheduler.ts'],
  ['packages/engine/src/run/a.ts', '../queue/place.ts'],
  ['apps/api/src/a.ts', '../package.json'],
  ['apps/api/src/a.ts', 'fastify'],
] as const

// The imports of this repository show the others.
test.each(allowed)('%s may import %s', (path, specifier) => {
  expect(problemsOf({ [path]: `import { a } from '${specifier}'\n` })).toEqual([])
})

const forbidden = [
  // db and engine import nothing of ours, node-app only types of the engine's entries.
  ['packages/db/src/a.ts', '@roundsman/engine'],
  ['packages/engine/src/run/a.ts', '@roundsman/db'],
  ['packages/node-app/src/a.ts', '@roundsman/engine'],
  // The catalogue imports the engine's contract only.
  ['packages/jobs/src/a.ts', '@roundsman/engine/client'],
  ['packages/testing/src/a.ts', '@roundsman/engine/worker'],
  // The API schedules and executes nothing; the worker enqueues for nobody.
  ['apps/api/src/a.ts', '@roundsman/engine/worker'],
  ['apps/api/src/a.ts', '@roundsman/engine/contract'],
  ['apps/api/src/a.ts', '@roundsman/testing'],
  ['apps/api/src/a.ts', '@roundsman/engine/internal'],

  ['apps/worker/src/a.ts', '@roundsman/testing'],
  ['apps/console/src/a.ts', '@roundsman/db'],
  // Scripts import rooms by their names.
  ['scripts/seed/a.ts', '../../packages/db/src/index.ts'],
  ['apps/console/e2e/a.test.ts', '../../../packages/db/src/index.ts'],
  // An app imports no app.
  ['apps/api/src/a.ts', '@roundsman/worker'],
  ['apps/api/test/a.test.ts', '@roundsman/worker'],
  // Tests may import some more, but not everything.
  ['packages/db/test/a.test.ts', '@roundsman/engine/worker'],
  // These reach past the exports of a package.
  ['apps/api/src/a.ts', '@roundsman/db/src/client.ts'],
  ['apps/api/src/a.ts', '../../../packages/db/src/createDatabaseClient.ts'],
  ['apps/api/src/a.ts', '../../worker/src/main.ts'],
  ['packages/db/test/a.test.ts', '../../testing/src/index.ts'],
  ['apps/worker/src/a.ts', '../../../scripts/seed/seedDemoData.ts'],
  ['apps/api/src/a.ts', '#worker'],
  ['apps/api/src/a.ts', 'file:///somewhere/main.ts'],
  // What the queue was built on up to 0.2, and the clock.
  ['apps/worker/src/a.ts', 'pg-boss'],
  ['packages/db/src/a.ts', 'pg-boss/dist/index.js'],
  ['apps/worker/src/a.ts', 'node-cron'],
  ['packages/engine/src/queue/a.ts', 'pg-boss'],
  ['packages/engine/src/job/a.ts', 'node-cron'],
  // Within the engine.
  ['packages/engine/src/job/a.ts', '../client.ts'],
  ['packages/engine/src/job/a.ts', '../queue/place.ts'],
  ['packages/engine/src/job/a.ts', '@roundsman/engine/worker'],
  ['packages/engine/src/read/a.ts', '../run/runs.ts'],
  ['packages/engine/src/control/a.ts', '../detour.ts'],
  ['packages/engine/src/queue/a.ts', '../run/runs.ts'],
] as const

test.each(forbidden)('%s may not import %s', (path, specifier) => {
  const problems = problemsOf({ [path]: `\nimport { a } from '${specifier}'\n` })
  expect(problems).toEqual([expect.stringMatching(`^${path}:2: `)])
})

test.each([
  ['packages/engine/src/index.ts', 'pg'],
  ['packages/engine/src/client.ts', 'node-cron'],
])('%s may reach %s by no detour', (entry, target) => {
  const files = (kind: string) => ({
    [entry]: "export { a } from './tick/a.ts'\n",
    'packages/engine/src/tick/a.ts': `${kind} { b } from './b.ts'\n`,
    'packages/engine/src/tick/b.ts': `import '${target}'\n`,
  })
  expect(problemsOf(files('export'))).toEqual([
    expect.stringMatching(`^${entry}:1: reaches ${target} .*tick/a.ts → .*tick/b.ts`),
  ])
  expect(problemsOf(files('export type'))).toEqual([])
})

describe('what the queue was built on up to 0.2', () => {
  const naming = 'const sql = `\n  select from pgboss.job`\n'

  test.each([
    'packages/engine/src/queue/a.ts',
    'packages/lab/test/chaos/a.test.ts',
    'apps/console/src/a.tsx',
    'scripts/seed/a.ts',
  ])('may not be named by %s', (path) => {
    expect(problemsOf({ [path]: naming })).toEqual([
      expect.stringMatching(`^${path}:2: names pg-boss, which only`),
    ])
  })

  test.each(['const of = "PgBoss"', '// What pg-boss keeps.', "select('pgboss' + '.job')"])(
    'may not be named outside of statements either: %s',
    (text) => {
      expect(problemsOf({ 'packages/engine/src/read/a.ts': text })).toHaveLength(1)
    },
  )
})

describe('whatever the kind of import', () => {
  const name = '@roundsman/engine/worker'
  const path = '../../../packages/engine/src/worker.ts'
  const kinds = (specifier: string) => [
    `import '${specifier}'`,
    `import worker from '${specifier}'`,
    `import * as worker from '${specifier}'`,
    `import type { Worker } from '${specifier}'`,
    `import { type Worker } from '${specifier}'`,
    `export * from '${specifier}'`,
    `export { createWorker } from '${specifier}'`,
    `export type { Worker } from '${specifier}'`,
    `type Worker = import('${specifier}').Worker`,
    `let worker: typeof import('${specifier}')`,
    `const { createWorker } = await import('${specifier}')`,
    `const start = async () => (await import('${specifier}')).createWorker()`,
    `const worker = import(\`${specifier}\`)`,
    `const worker = import(\`${specifier}\${suffix}\`)`,
    `const worker = require('${specifier}')`,
    `const worker = require.resolve('${specifier}')`,
    `import worker = require('${specifier}')`,
    `const load = createRequire(import.meta.url); load('${specifier}')`,
    `const load = module.createRequire(import.meta.url); load.resolve('${specifier}')`,
    `createRequire(import.meta.url)('${specifier}')`,
    `const url = import.meta.resolve('${specifier}')`,
    `export { a } from\n  // A comment in between.\n  "${specifier}"`,
  ]

  test.each([...kinds(name), ...kinds(path)])('the API may not: %s', (text) => {
    expect(problemsOf({ 'apps/api/src/a.ts': text })).toHaveLength(1)
  })

  test.each(['mts', 'cts', 'tsx', 'js', 'mjs', 'jsx'])('in a .%s file', (extension) => {
    const files = { [`apps/api/src/a.${extension}`]: `import { createWorker } from '${name}'` }
    expect(problemsOf(files)).toHaveLength(1)
  })

  test('what only looks like an import is none', () => {
    const text = [
      `// import { createWorker } from '${name}'`,
      `const example = "import { createWorker } from '${name}'"`,
      `const pattern = /require\\('node-cron'\\)/`,
      `const resolved = path.resolve('../../worker')`,
    ].join('\n')
    expect(problemsOf({ 'apps/api/src/a.ts': text })).toEqual([])
  })
})

test('the console takes types of the API, and nothing else', () => {
  const console = (text: string) => problemsOf({ 'apps/console/src/a.ts': text })
  expect(console(`import type { Run } from '@roundsman/admin/contract'`)).toEqual([])
  expect(console(`type Run = import('@roundsman/admin/contract').Run`)).toEqual([])
  // Without its types the import itself stays, and runs the module.
  expect(console(`import { type Run } from '@roundsman/admin/contract'`)).toHaveLength(1)
})

test('node-app takes types of the engine, and nothing else', () => {
  const nodeApp = (text: string) => problemsOf({ 'packages/node-app/src/a.ts': text })
  expect(nodeApp(`import type { TraceContext } from '@roundsman/engine'`)).toEqual([])
  expect(nodeApp(`import { nextTick } from '@roundsman/engine'`)).toHaveLength(1)
})

test('a computed import is refused unless its file is listed', () => {
  const text = 'export const load = (name: string) => import(name)'
  expect(problemsOf({ 'apps/api/src/a.ts': text })).toEqual([
    expect.stringContaining('apps/api/src/a.ts:1: imports by a computed name'),
  ])
  expect(problemsOf({ 'packages/local-postgres/src/prepareBinaries.ts': text })).toEqual([])
})

test('a file that does not parse is a problem, not a file without imports', () => {
  expect(problemsOf({ 'apps/api/src/a.ts': 'import {' })).toEqual([
    expect.stringContaining('apps/api/src/a.ts: does not parse'),
  ])
})

test('a new room is refused until the table has a row for it', () => {
  const manifest = JSON.stringify({ name: '@roundsman/billing' })
  const files = { 'packages/ledgers/package.json': manifest, 'packages/ledgers/src/a.ts': '' }
  expect(problemsOf(files)).toEqual([
    expect.stringContaining('packages/ledgers has no row in MAY_IMPORT'),
  ])
})

describe('a package.json', () => {
  const problemsOfApi = (manifest: object) =>
    problemsOf({
      'apps/api/package.json': JSON.stringify({ name: '@roundsman/api', ...manifest }),
    })

  test('may name what the room may import', () => {
    const dependencies = { '@roundsman/engine': 'workspace:*', fastify: '5.12.8' }
    const devDependencies = { '@roundsman/testing': 'workspace:*' }
    expect(problemsOfApi({ dependencies, devDependencies })).toEqual([])
  })

  test.each([
    ['an app', { dependencies: { '@roundsman/worker': 'workspace:*' } }],
    ['what is for tests', { dependencies: { '@roundsman/testing': 'workspace:*' } }],
    ['an app, for tests', { devDependencies: { '@roundsman/worker': 'workspace:*' } }],
    ['an app, as a peer', { peerDependencies: { '@roundsman/worker': 'workspace:*' } }],
    ['one of ours by an alias', { dependencies: { engine: 'workspace:@roundsman/worker@*' } }],
    ['one of ours by its folder', { dependencies: { engine: 'link:../worker' } }],
    ['the queue', { dependencies: { 'pg-boss': '12.38.0' } }],
    ['the clock', { optionalDependencies: { 'node-cron': '4.6.0' } }],
    ['itself by another name', { name: '@roundsman/backend' }],
  ])('may not name %s', (_what, manifest) => {
    expect(problemsOfApi(manifest)).toHaveLength(1)
  })
})
