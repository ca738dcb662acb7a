// Not quick: starts processes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { checkHygiene } from '../check/checkHygiene.ts'
import { writeTree } from './writeTree.ts'

/** Puts a path together, so that this file contains none of what the check looks for. */
const path = (...parts: string[]) => ['', ...parts].join('/')
const silence = (rest: string) =>
  ['// oxlint', 'disable', `next-line no-console${rest}\n`].join('-')
const leavingOut = (how: string) => [how, 'true'].join(': ')

const problemsOf = async (files: Record<string, string>) => checkHygiene(await writeTree(files))

test.each([
  `see ${path('home', 'somebody', 'notes.md')}`,
  `cd ${path('root', 'project')}`,
  `"${path('work', 'main')}"`,
  `(${path('Users', 'somebody')})`,
  ['C:', 'Users', 'somebody'].join('\\'),
])('a path of one machine: %s', async (text) => {
  expect(await problemsOf({ 'docs/a.md': `\n${text}\n` })).toEqual([
    expect.stringContaining('docs/a.md:2: names a folder of one machine'),
  ])
})

test('a file that is too large, and none that is ignored', async () => {
  const large = 'x'.repeat(1_500_001)
  const files = { 'reports/a.txt': large, 'b.log': large, '.gitignore': '*.log\n' }
  expect(await problemsOf(files)).toEqual([expect.stringContaining('reports/a.txt: has 1500001')])
})

test('a test that is left out by an option', async () => {
  const text = `test('a', { ${leavingOut('skip')} }, run)\ntest('b', { ${leavingOut('only')} }, run)\n`
  expect(await problemsOf({ 'scripts/test/a.test.ts': text })).toHaveLength(2)
  expect(await problemsOf({ 'scripts/a.ts': text })).toEqual([])
})

test('a linter that is silenced without a reason', async () => {
  expect(await problemsOf({ 'scripts/a.ts': silence('') })).toHaveLength(1)
  expect(await problemsOf({ 'scripts/a.ts': silence(' -- prints for people') })).toEqual([])
})

test.each([
  "const { pathname } = new URL(request.url ?? '/', 'http://console')",
  'new URL(req.originalUrl)',
  'new URL( raw.url, base)',
  'const host = new URL(url, base).host',
  'decodeURIComponent(request.url)',
])('an address that a listener cannot read ends the process: %s', async (line) => {
  const files = { 'packages/fastify/src/a.ts': `\n${line}\n`, 'packages/lab/src/a.ts': line }
  expect(await problemsOf(files)).toEqual([
    expect.stringMatching(/^packages\/fastify\/src\/a\.ts:2: .*URL\.parse/),
  ])
})

describe('a word that the glossary gave up', () => {
  const found = async (file: string, text: string) => {
    const glossary = await readFile(join(import.meta.dirname, '../../docs/glossary.md'), 'utf8')
    return (await problemsOf({ [file]: text, 'docs/glossary.md': glossary })).length
  }

  it.each([
    ['docs/a.md', 'Mend it, then redrive.'],
    ['.changeset/a.md', 'Redriven work runs alone.'],
    ['packages/admin/README.md', 'they redrove `it`'],
    ['apps/console/src/a.tsx', '    <b>\n      Redrive {count}\n    </b>'],
    ['apps/console/src/a.tsx', `<Panel title="${['Next', 'ticks'].join(' ')}">`],
    ['apps/console/src/a.ts', "confirm: 'Redrive',"],
    ['packages/admin/src/a.ts', "summary: 'Redrives dead letters',"],
    ['packages/cli/src/a.ts', '`${count} were redriven`'],
    ['packages/cli/src/a.ts', "'what you leave out stays as it is'"],
    ['apps/console/src/a.tsx', '      It hears of it within a second'],
    ['packages/alerts/src/a.ts', '// For whoever reads it.'],
  ])('is not read in %s: %s', async (file, text) => {
    expect(await found(file, text)).toBe(1)
  })

  it.each([
    ['docs/a.md', 'It stays as it is, for whoever asks.', 2],
    ['docs/a.md', 'Nobody reads it, *whoever asks*, `whoever`.', 1],
    ['docs/a.md', '```ts\n// for whoever asks\n```', 0],
    ['packages/engine/src/a.ts', '/** Nobody reads it. */', 1],
    ['packages/engine/src/a.ts', "const text = 'Nobody reads it'", 0],
    ['docs/adr/a.md', 'It stays as it is, for whoever asks.', 0],
  ])('is read in %s as prose: %s', async (file, text, count) => {
    expect(await found(file, text)).toBe(count)
  })
})

describe('a sentence that is too long', () => {
  const long = `It has ${'many '.repeat(34)}words.`

  it.each([
    ['docs/a.md', `| a | ${long} |`, 1],
    ['docs/a.md', `It has ${'many '.repeat(32)}words. Words.`, 0],
    ['packages/engine/src/a.ts', `/**\n * ${long}\n */`, 1],
    ['packages/engine/src/a.ts', `/**\n * Is short.\n * @throws ${long.slice(-50)}\n */`, 0],
    ['packages/engine/test/a.ts', `/** ${long} */`, 0],
  ])('is found in %s', async (file, text, count) => {
    expect(await problemsOf({ [file]: text })).toHaveLength(count)
  })
})

test('a comment that begins with What', async () => {
  const file = 'packages/engine/src/a.ts'
  expect(await problemsOf({ [file]: '/** What a run says. */' })).toHaveLength(1)
  expect(await problemsOf({ [file]: '/** What runs? */\n/** The run. */' })).toEqual([])
})
