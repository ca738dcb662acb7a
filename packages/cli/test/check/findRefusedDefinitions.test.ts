import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { findRefusedDefinitions } from '../../src/check/checkCommand.ts'

it('finds every definition that is refused, and each once', async () => {
  // Beside this file, from where the definitions can import the engine.
  const folder = await mkdtemp(join(import.meta.dirname, 'catalogue-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const define = (name: string, cron: string) =>
    `import { defineJob } from '@roundsman/engine'
     export const job = defineJob({ name: '${name}', schedule: { cron: '${cron}' } })`
  const files = {
    'index.ts': `export * from './sweepFloors.ts'\nthrow new Error('not imported here')`,
    'sweepFloors.ts': define('sweepFloors', '99 * * * *'),
    'washDishes.ts': define('washDishes', '0 3 * * *'),
    'waterPlants.ts': define('waterPlants', 'daily'),
    'again.ts': `export * from './waterPlants.ts'`,
    'broken.ts': `throw new Error('of another kind')`,
    'notes.txt': 'no module',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)

  const findings = await findRefusedDefinitions(pathToFileURL(join(folder, 'index.ts')))

  expect(findings.map(({ job, code }) => `${job} ${code}`)).toEqual([
    'waterPlants definition_invalid',
    'sweepFloors definition_invalid',
  ])
})
