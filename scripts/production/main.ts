// The last step of `pnpm install:production`. It deletes installed files that API and worker never load, and prints the
// size of the rest. `pnpm clean` and `pnpm install` bring everything back.
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { checkProductionSize, describeLargest, LIMIT_MB } from '../check/checkProductionSize.ts'
import { listProductionFiles } from './listProductionFiles.ts'

const root = join(import.meta.dirname, '../..')
const packages = await listProductionFiles(root)
for (const { unneeded } of packages) await Promise.all(unneeded.map((path) => rm(path)))
const bytes = await sizeOf(join(root, 'node_modules'))
const size = `${(bytes / 1e6).toFixed(0)} MB`
process.stdout.write(
  `Installed for production: ${size}. The largest:\n${describeLargest(packages)}\n`,
)
const problems = [...(await checkProductionSize(root))]
// This also counts files to which no dependency leads.
if (problems.length === 0 && bytes > LIMIT_MB * 1e6) {
  problems.push(`node_modules holds ${size}, more than ${LIMIT_MB} MB: du -sm node_modules/.pnpm/*`)
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  )
  return sizes.reduce((sum, one) => sum + one, 0)
}
