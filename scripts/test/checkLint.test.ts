// Not quick: starts processes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
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

const violations = [
  ['no-floating-promises', `import { save } from './save.ts'\nsave()\n`],
  ['no-explicit-any', 'export const a: any = 1\n'],
  ['no-default-export', 'export default function a() {}\n'],
  ['no-console', `export const a = () => console.log('a')\n`],
  ['no-restricted-properties', 'export const a = process.env.A\n'],
  ['no-restricted-properties', 'export const { env } = process\n'],
  ['no-restricted-imports', `import { env } from 'node:process'\nexport const a = env.A\n`],
  ['consistent-type-imports', `import { A } from './double.ts'\nexport const a = (b: A) => b\n`],
  ['no-debugger', 'debugger\n'],
  ['no-unused-vars', 'const a = 1\n'],
  ['Unused oxlint-disable', `// oxlint-disable-next-line no-console -- why\n${clean}`],
] as const
const focusedOrSkipped = ['it.only', 'it.skip', 'describe.skip', 'it.concurrent.only']

/** All in one tree, because the linter takes longer to start than to look. */
describe('in one tree', () => {
  let output: Promise<string> | undefined

  async function lint(): Promise<string> {
    const files: Record<string, string> = {}
    for (const [n, [, text]] of violations.entries()) files[`packages/db/src/a${n}.ts`] = text
    for (const [n, name] of focusedOrSkipped.entries()) {
      files[`packages/db/test/a${n}.test.ts`] =
        `import { describe, expect, it } from 'vitest'\ndescribe('a', () => it('b', () => expect(1).toBe(1)))\n${name}('c', () => expect(1).toBe(1))\n`
    }
    files['packages/db/test/typed.ts'] =
      `import { save } from '../src/save.ts'\nexport const a = () => {\n  save()\n}\n`
    const [problems, ...others] = await problemsOf(files)
    expect(others).toEqual([])
    return problems!
  }

  async function problemsIn(path: string): Promise<string> {
    const lines = (await (output ??= lint())).split('\n')
    return lines.filter((line) => line.startsWith(path)).join('\n')
  }

  test.each(violations.map(([rule], n) => [rule, n] as const))('%s', async (rule, n) => {
    expect(await problemsIn(`packages/db/src/a${n}.ts`)).toContain(rule)
  })

  test('knows the types in tests, which belong to no package', async () => {
    expect(await problemsIn('packages/db/test/typed.ts')).toContain('no-floating-promises')
  })

  test.each(focusedOrSkipped.map((name, n) => [name, n] as const))('%s', async (_, n) => {
    expect(await problemsIn(`packages/db/test/a${n}.test.ts`)).toMatch(
      /no-focused-tests|no-disabled-tests/,
    )
  })
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
