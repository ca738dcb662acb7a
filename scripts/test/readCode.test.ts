// Not quick: starts processes.
import { expect, test } from 'vitest'
import { checkBoundaries } from '../check/checkBoundaries.ts'
import { readCode } from '../check/readCode.ts'
import { codeOf } from './codeOf.ts'
import { writeTree } from './writeTree.ts'

const EXTENSIONS = ['cjs', 'cts', 'js', 'jsx', 'mjs', 'mts', 'ts', 'tsx']

test('all code is read, whatever its kind, with the packages, and nothing that is ignored', async () => {
  const files = {
    'packages/db/package.json': JSON.stringify({ name: '@roundsman/db' }),
    'apps/api/package.json': JSON.stringify({ name: '@roundsman/api' }),
    ...Object.fromEntries(
      EXTENSIONS.map((extension) => [`apps/api/src/a.${extension}`, "import 'node-cron'\n"]),
    ),
  }
  const others = { 'README.md': '# Code', '.gitignore': 'dist\n', 'apps/api/dist/a.js': '' }

  const code = await readCode(await writeTree({ ...files, ...others }))

  expect([...code.files.keys()]).toEqual(
    EXTENSIONS.map((extension) => `apps/api/src/a.${extension}`),
  )
  expect(code).toEqual(codeOf(files))
  expect(checkBoundaries(code)).toHaveLength(EXTENSIONS.length)
})
