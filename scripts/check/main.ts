// `pnpm check`: all checks that need no running program. It prints a line for each, then what failed and why.
import { join } from 'node:path'
import { generateWhenStale } from '../generateWhenStale.ts'
import { checkBoundaries } from './checkBoundaries.ts'
import { checkDocuments } from './checkDocuments.ts'
import { checkHouse } from './checkHouse.ts'
import { checkHygiene } from './checkHygiene.ts'
import { checkLicences } from './checkLicences.ts'
import { checkLint } from './checkLint.ts'
import { checkProductionImports } from './checkProductionImports.ts'
import { checkProductionSize } from './checkProductionSize.ts'
import { checkStatements } from './checkStatements.ts'
import { checkSurface } from './checkSurface.ts'
import { checkTests } from './checkTests.ts'
import { checkTypes } from './checkTypes.ts'
import { readCode } from './readCode.ts'
import { runChecks } from './runChecks.ts'
import { runTool } from './runTool.ts'

const root = join(import.meta.dirname, '../..')

/** What three checks read, once. */
const code = readCode(root)

const ok = await runChecks({
  // Types, lint and unused code need the generated client, which is part of the program.
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
    // A package that is imported without being a dependency works on this machine, and not on the next.
    { name: 'dependencies', run: () => runTool(root, 'turbo', ['boundaries']) },
    { name: 'boundaries', run: async () => checkBoundaries(await code) },
    { name: 'house', run: async () => checkHouse(await code) },
    { name: 'tests', run: async () => checkTests(await code) },
    // A row of now beside one of before has lost payloads, and started work that was paused.
    { name: 'statements', run: () => checkStatements(root) },
    { name: 'licences', run: () => checkLicences(root) },
    { name: 'production', run: () => checkProductionImports(root) },
    { name: 'production size', run: () => checkProductionSize(root) },
    { name: 'hygiene', run: () => checkHygiene(root) },
    { name: 'documents', run: () => checkDocuments(root) },
    { name: 'surface', run: () => checkSurface(root) },
  ],
  write: (text) => process.stdout.write(text),
})
// Not exit(): the output may still be on its way through a pipe.
process.exitCode = ok ? 0 : 1
