// Not quick: starts processes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkLint } from '../check/checkLint.ts'
import { writeTree } from './writeTree.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const CONFIGURATION = ['.oxlintrc.json', '.gitignore', 'tsconfig.base.json', 'tsconfig.tests.json']

const clean = 'export function double(value: number): number {\n  return value * 2\n}\n'

/** The problems of a tree under this workspace's configuration. */
async function problemsOf(files: Record<string, string>): Promise<readonly string[]> {
  const configuration = await Promise.all(
    CONFIGURATION.map(async (path) => [path, await readFile(join(WORKSPACE_ROOT, path), 'utf8')]),
  )
  return checkLint(
    await writeTree({
      ...(Object.fromEntries(configuration) as Record<string, string>),
      'tsconfig.json': '{ "files": [], "references": [{ "path": "tsconfig.tests.json" }] }',
      // The compiler's options name these types.
      'node_modules/@types/node/index.d.ts':
        'declare const process: { env: Record<string, string> }\ndeclare const console: { log(text: string): void }\n',
      'packages/db/tsconfig.json': '{ "extends": "../../tsconfig.base.json", "include": ["src"] }',
      'packages/db/src/double.ts': clean,
      'packages/db/src/save.ts': 'export async function save(): Promise<void> {}\n',
      ...files,
    }),
  )
}

test('finds nothing in clean code, and looks at it', async () => {
  expect(await problemsOf({ 'node_modules/any/index.js': 'var a = 1\n' })).toEqual([])
})

test('says what breaks a rule, in tests as well, by the types that they have', async () => {
  const floating = `import { save } from '../src/save.ts'\nexport const a = () => {\n  save()\n}\n`
  const focused = `import { expect, it } from 'vitest'\nit.only('a', () => expect(1).toBe(1))\n`
  const [problems] = await problemsOf({
    'packages/db/src/a.ts': 'export const a: any = 1\n',
    'packages/db/test/typed.ts': floating,
    'packages/db/test/a.test.ts': focused,
  })
  for (const rule of ['no-explicit-any', 'no-floating-promises', 'no-focused-tests'])
    expect(problems).toContain(rule)
})

test('a linter that looks at what is not ours, or not at what is, has not passed', async () => {
  const unignored = { 'node_modules/any/index.js': clean, '.gitignore': '' }
  expect(await problemsOf(unignored)).toEqual([
    expect.stringMatching(/^Linted, but not ours: .*node_modules\/any\/index.js$/),
  ])
  expect(await problemsOf({ 'reports/a.ts': clean })).toEqual([
    'Ours, but not linted: reports/a.ts',
  ])
})
