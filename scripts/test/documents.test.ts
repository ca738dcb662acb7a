// Not quick: starts processes.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openForTests } from '@roundsman/testing'
import { beforeAll, expect, test } from 'vitest'
import { createTestApi } from '../../apps/api/test/createTestApi.ts'
import { listFiles } from '../check/listFiles.ts'
import { readSteps } from '../hosts/readSteps.ts'
import { WORKSPACE_ROOT } from './stack.ts'

/*
 * Checks of documents that pnpm check can't make, because they need a database, an application, or the knowledge of
 * what an error is.
 */

const api = openForTests(createTestApi)
const NOT_OF_RUNS = [
  'apps/worker/src/check',
  'apps/worker/src/jobs/demoHandlers.ts',
  'packages/admin/src/jobs/deadLetterRoutes.ts',
  'packages/engine/src/values/standardSchema.ts',
]
let documents: { path: string; text: string }[]
let sources: string
/** The sources of runs, without those of findings, routes', payloads' problems and demos, which have codes as well. */
let sourcesOfRuns: string

beforeAll(async () => {
  const pages = await readdir(join(WORKSPACE_ROOT, 'docs'), { recursive: true })
  documents = await readAll([
    'README.md',
    ...pages.filter((path) => path.endsWith('.md')).map((path) => `docs/${path}`),
  ])
  const files = await listFiles(WORKSPACE_ROOT)
  const texts = await readAll(
    files.filter((path) =>
      /^(apps\/(api|worker)|packages\/(admin|engine|fastify|node-app))\/src\/.*\.ts$/.test(path),
    ),
  )
  sources = texts.map(({ text }) => text).join('\n')
  sourcesOfRuns = texts
    .filter(({ path }) => !NOT_OF_RUNS.some((start) => path.startsWith(start)))
    .map(({ text }) => text)
    .join('\n')
})

test('every statement of the documents runs on a migrated database', async () => {
  const statements = documents.flatMap(({ path, text }) =>
    // A block in a list is indented.
    readSteps(text.replaceAll(/^ {2,}(?=```)/gm, ''))
      .filter(({ language }) => language === 'sql')
      .map(({ line, text: sql }) => ({ where: `${path}:${line}`, sql })),
  )
  expect(statements.length).toBeGreaterThan(5)
  for (const { where, sql } of statements) {
    const outcome = api.prisma.$executeRawUnsafe(sql)
    await expect(outcome, where).resolves.toBeTypeOf('number')
  }
})

test('each walk of the architecture has at most ten hops, and each function is in its file', async () => {
  const page = documents.find(({ path }) => path === 'docs/architecture.md')?.text ?? ''
  const hops = [...page.matchAll(/^\| (\d+) \| `(.+?)` \| `(\w+)` \|/gm)]
  expect(hops.length).toBeGreaterThan(20)
  for (const [, hop, file = '', name = ''] of hops) {
    expect(Number(hop), file).toBeLessThanOrEqual(10)
    const [source] = await readAll([`packages/engine/src/${file}`])
    expect(source?.text, file).toMatch(
      new RegExp(`\\b(?:function|const) ${name}\\b|\\b${name}(?:\\(|:)`),
    )
  }
})

test('every route that the documents name is there', () => {
  const named = documents.flatMap(({ path, text }) =>
    // What an upgrade removes is named there, and is gone.
    [
      ...text
        .replaceAll(/^\| .*? \|/gm, path === 'docs/upgrading.md' ? '' : '$&')
        .matchAll(/\b(GET|POST|DELETE|PUT|PATCH) (\/api\/[\w:/-]*\w)/g),
    ].map(([, method = '', url = '']) => ({ path, method, url })),
  )
  expect(named.length).toBeGreaterThan(5)
  const missing = named.filter(({ method, url }) => !api.app.hasRoute({ method, url }))
  expect(missing).toEqual([])
})

test('runbook and environment explain every code that a run can end with, and no other', async () => {
  const thrown = new Set(
    [
      ...sourcesOfRuns.matchAll(
        /(?:new JobError\(|super\(|code: |giveUp\(|notStarted\(|putOff\(|refused\(|refuse\(|return \[|BESIDE_WAIT = |'code', )\s*'([a-z\d]+_[a-z\d_]+)'/g,
      ),
    ].map(([, code]) => code),
  )
  for (const code of ['timeout', 'cancelled', 'expired', 'drained', 'worker_lost']) thrown.add(code)
  // What a handler throws with a code of the engine's own.
  for (const code of ['cancelled', 'expired', 'guard_blocked', 'drained', 'worker_lost'])
    thrown.add(`handler_${code}`)
  const table = ['runbook', 'environment']
    .map((name) => section(pageOf(name), '## Error codes'))
    .join('\n')
  const explained = new Set(
    [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, code]) => code),
    ),
  )
  explained.delete('handler_failed')
  expect(sources).toContain("'handler_failed'")
  expect(explained).toEqual(thrown)
})

test('every log line that the runbook explains is one that is written', () => {
  const lines = [...section(pageOf('runbook'), '## Log lines').matchAll(/^\| (`.*?) \|/gm)].flatMap(
    ([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, line = '']) => line),
  )
  expect(lines.length).toBeGreaterThan(10)
  expect(lines.filter((line) => !sources.includes(line.replace(/: …$/, '')))).toEqual([])
})

test('the runbook has each kind of problem, by the word by which the console says it', async () => {
  const [list] = await readAll(['apps/console/src/screens/overview/AttentionList.tsx'])
  const labels = (list?.text ?? '').matchAll(/^ {2}(\w+): '([A-Z].+)',$/gm)
  const said = [...labels].map(([, kind, word]) => `**${word}** \`${kind}\``)
  expect(said).toHaveLength(15)
  const table = section(pageOf('runbook'), '## What needs attention')
  expect(said.filter((one) => !table.includes(one))).toEqual([])
})

test('the changes that CONTRIBUTING leads through touch five files at most, which have what it names', async () => {
  const [page] = await readAll(['CONTRIBUTING.md'])
  const changes = section(page?.text ?? '', '## Five changes, file by file')
    .split(/^\*\*/m)
    .slice(1)
  expect(changes).toHaveLength(5)
  for (const change of changes) {
    const rows = [...change.matchAll(/^\| `([^`]+\.tsx?)` \|(.*)\|(.*)\|$/gm)]
    expect(rows.length, change).toBeGreaterThan(0)
    expect(rows.length, change).toBeLessThanOrEqual(5)
    for (const [, path = '', what = '', holds = ''] of rows) {
      const [file] = await readAll([path])
      for (const [, name = ''] of what.matchAll(/`(\w+)`/g))
        expect(file?.text, path).toContain(name)
      const tests = [...holds.matchAll(/`([^`]+)`/g)].map(([, cited = '']) => cited)
      await expect(readAll(tests), path).resolves.toHaveLength(tests.length)
    }
  }
})

function pageOf(name: string): string {
  return documents.find(({ path }) => path === `docs/${name}.md`)?.text ?? ''
}

function section(text: string, heading: string): string {
  const [, after = ''] = text.split(`${heading}\n`)
  return after.split(/^## /m)[0] ?? ''
}

async function readAll(paths: readonly string[]) {
  return await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(WORKSPACE_ROOT, path), 'utf8') })),
  )
}
