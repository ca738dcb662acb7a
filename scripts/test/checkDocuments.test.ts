// Not quick: starts processes.
import { expect, it } from 'vitest'
import { checkDocuments } from '../check/checkDocuments.ts'
import { writeTree } from './writeTree.ts'

const CODE = {
  'package.json': '{ "scripts": { "serve": "node src/main.ts", "db:fill": "node fill.ts" } }',
  'src/main.ts':
    'listen(process.env.SERVE_PORT, process.env.DATABASE_URL, process.env[`${name}_HOST`])',
}

async function check(text: string, path = 'docs/architecture.md'): Promise<readonly string[]> {
  return await checkDocuments(
    await writeTree({ ...CODE, 'docs/other.md': '# One thing', [path]: text }),
  )
}

it('finds nothing in a document that names what is there', async () => {
  const text = [
    '# A page, and `more`',
    '[other](other.md#one-thing), [here](#a-page-and-more), [code](../src), [far](https://example.com/x)',
    '`pnpm serve`, `pnpm db:fill --now`, `SERVE_PORT=1`, `ANY_HOST`, `src/main.ts`',
    '```sh',
    'npx -y pnpm@12 install && pnpm --silent serve',
    'pnpm --filter other whatever',
    '```',
  ]
  expect(await check(text.join('\n'))).toEqual([])
})

it.each([
  ['[gone](gone.md)', 'links to gone.md, which does not exist'],
  ['[gone](other.md#two)', 'links to other.md#two, and there is no such heading'],
  ['[gone](#nowhere)', 'links to #nowhere, and there is no such heading'],
  ['run `pnpm sevre`', 'there is no script for `pnpm sevre`'],
  ['run `npx -y pnpm@12 sevre`', 'there is no script for `pnpm sevre`'],
  ['set `SERVE_PROT`', 'nothing reads or says SERVE_PROT'],
  ['see `src/mian.ts`', 'there is no src/mian.ts'],
])('finds what %s names in vain', async (text, problem) => {
  expect(await check(`\n${text}`)).toEqual([`docs/architecture.md:2: ${problem}`])
})

it('finds names of the own product of this repository on a page for products', async () => {
  const environment = '| variable | default |\n|---|---|\n| `SERVE_PORT`, `DATABASE_URL` | none |\n'
  const tree = await writeTree({
    ...CODE,
    'docs/environment.md': environment,
    'docs/scaling.md': 'set `SERVE_PORT=1` and `DATABASE_URL`, then `pnpm serve`',
    'docs/adopting.md': 'then `pnpm serve`',
  })
  expect(await checkDocuments(tree)).toEqual([
    'docs/scaling.md:1: `pnpm serve` belongs in docs/environment.md',
    'docs/scaling.md:1: SERVE_PORT belongs in docs/environment.md',
  ])
})

it('finds a command that is not there in a block of them', async () => {
  expect(await check('```sh\ncd x && pnpm sevre\n```')).toEqual([
    'docs/architecture.md:2: there is no script for `pnpm sevre`',
  ])
})

it('takes a path as seen from the document as well', async () => {
  expect(await check('`src/main.ts`, `src/other.md`', 'README.md')).toEqual([
    'README.md:1: there is no src/other.md',
  ])
})

it.each([
  ['`test/a.test.ts`: *waits for … of others*', []],
  ['none', ['names no test of this guarantee']],
  [
    '`test/gone.test.ts`: *waits*',
    [
      'there is no test/gone.test.ts',
      'names the test "waits", which is in no file that is named beside it',
      'names no test of this guarantee',
    ],
  ],
  [
    '`a.test.ts`',
    ['there is no a.test.ts: write its whole path', 'names no test of this guarantee'],
  ],
  [
    '`test/a.test.ts`: *waits for all*',
    [
      'names the test "waits for all", which is in no file that is named beside it',
      'names no test of test/a.test.ts: *title*',
    ],
  ],
])('finds what a guarantee lacks: %s', async (tests, problems) => {
  const root = await writeTree({
    ...CODE,
    'test/a.test.ts': "it('waits for the locks of others', wait)",
    'docs/guarantees.md': `# Guarantees\n\n| **What holds** | ${tests} |\n`,
  })
  expect(await checkDocuments(root)).toEqual(
    problems.map((problem) => `docs/guarantees.md:3: ${problem}`),
  )
})
