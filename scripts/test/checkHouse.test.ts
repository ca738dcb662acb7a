import { expect, test } from 'vitest'
import { checkHouse, linesThatCheckArguments } from '../check/checkHouse.ts'
import { codeOf } from './codeOf.ts'

const MANIFEST = JSON.stringify({
  name: '@roundsman/db',
  exports: { '.': { '@roundsman/source': './src/index.ts', default: './dist/index.js' } },
})

/** A package whose entry exports one thing, which needs a helper. */
const house = {
  'packages/db/package.json': MANIFEST,
  'packages/db/src/index.ts': "export { client } from './client.ts'\n",
  'packages/db/src/client.ts': `import { helper } from './helper.ts'\n${'\n'.repeat(40)}`,
}
const HELPER = 'export const helper = 1\n'

const problemsOf = (
  files: Readonly<Record<string, string>>,
  standsAlone: Readonly<Record<string, string>> = {},
) => checkHouse(codeOf({ ...house, ...files }), standsAlone)

test('a small file with one importer folds into it', () => {
  expect(problemsOf({ 'packages/db/src/helper.ts': HELPER })).toEqual([
    'packages/db/src/helper.ts:1: has 1 lines and one importer: fold it into packages/db/src/client.ts below what ' +
      'uses it, or say in STANDS_ALONE of scripts/check/checkHouse.ts why it has to stand alone',
  ])
})

test('types are imports too, and so is what is loaded later', () => {
  const importers = [
    "import type { a } from './a.ts'\n",
    "await import('./a.ts')\n",
    "export * from './a.ts'\n",
  ]
  for (const text of importers) {
    const files = { 'scripts/tool.ts': text, 'scripts/a.ts': HELPER }
    expect(problemsOf(files)).toEqual([expect.stringMatching(/^scripts\/a\.ts:1: /)])
  }
})

test('an exception has a reason, and goes when there is nothing to except', () => {
  const standsAlone = { 'packages/db/src/helper.ts': 'is loaded by its path' }
  expect(problemsOf({ 'packages/db/src/helper.ts': HELPER }, standsAlone)).toEqual([])
  expect(problemsOf({ 'packages/db/src/helper.ts': HELPER.repeat(41) }, standsAlone)).toEqual([
    'packages/db/src/helper.ts:1: is no small file with one importer (any more): take it out of STANDS_ALONE of ' +
      'scripts/check/checkHouse.ts',
  ])
})

test('arguments are checked in one folder, and in one file of each other package', () => {
  const text = [
    "import { checkId, optional } from '../values/argument.ts'",
    "import {\n  checkText,\n  checkOptions,\n} from '@roundsman/engine/internal'",
    "import { checkText } from '../values/argument.ts'",
    "throw new ArgumentError('id', 'is missing')",
  ].join('\n')
  expect(linesThatCheckArguments('packages/engine/src/read/getWork.ts', text)).toEqual([1, 2, 7])
  for (const path of ['engine/src/arguments/jobs.ts', 'admin/src/options.ts', 'engine/test/a.ts'])
    expect(linesThatCheckArguments(`packages/${path}`, text)).toEqual([])
})
