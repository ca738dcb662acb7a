// Checks everything that needs no running program: `pnpm check`. One line a check, then what failed and why.
import { join } from 'node:path'
import { generateWhenStale } from '../generateWhenStale.ts'
import { checkBoundaries } from './checkBoundaries.ts'
import { checkDocuments } from './checkDocuments.ts'
import { checkHouse, countHouse, readHouse } from './checkHouse.ts'
import { checkHygiene } from './checkHygiene.ts'
import { checkLicences } from './checkLicences.ts'
import { checkLint } from './checkLint.ts'
import { checkProductionImports } from './checkProductionImports.ts'
import { checkProductionSize } from './checkProductionSize.ts'
import { checkTypes } from './checkTypes.ts'
import { readCode } from './readCode.ts'
import { runChecks } from './runChecks.ts'
import { runTool } from './runTool.ts'

const root = join(import.meta.dirname, '../..')

const code = once(() => readCode(root))
/** It is checked, and its size is told at the end. */
const house = once(async () => readHouse(await code()))

const ok = await runChecks({
  // Types, lint and unused code are about a program that the generated client is part of.
  prepare: {
    name: 'generated client',
    run: async () => {
      await generateWhenStale()
      return []
    },
  },
  checks: [
    { name: 'format', run: () => runTool(root, 'oxfmt', ['--check']) },
    { name: 'lint', run: () => checkLint(root) },
    { name: 'types', run: () => checkTypes(root) },
    { name: 'unused code', run: () => runTool(root, 'knip', ['--no-config-hints']) },
    // What is imported by its name without being a dependency works on this machine, and not on the next.
    { name: 'dependencies', run: () => runTool(root, 'turbo', ['boundaries']) },
    { name: 'boundaries', run: async () => checkBoundaries(await code()) },
    { name: 'house', run: async () => checkHouse(await house()) },
    { name: 'licences', run: () => checkLicences(root) },
    { name: 'production', run: () => checkProductionImports(root) },
    { name: 'production size', run: () => checkProductionSize(root) },
    { name: 'hygiene', run: () => checkHygiene(root) },
    { name: 'documents', run: () => checkDocuments(root) },
  ],
  write: (text) => process.stdout.write(text),
})
process.stdout.write(`\nThe house\n${countHouse(await house())}`)
// The exit code, not exit(): what was written to a pipe has yet to get through.
process.exitCode = ok ? 0 : 1

function once<Result>(read: () => Promise<Result>): () => Promise<Result> {
  let reading: Promise<Result> | undefined
  return () => (reading ??= read())
}
