// The last step of `pnpm install:production`. It deletes installed files that API and worker never load, and prints the
// size of the rest, which fails nobody's deployment. `pnpm clean` and `pnpm install` bring everything back.
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeLargest } from '../check/checkProductionSize.ts'
import { listProductionFiles } from './listProductionFiles.ts'

const root = join(import.meta.dirname, '../..')
const packages = await listProductionFiles(root)
for (const { unneeded } of packages) await Promise.all(unneeded.map((path) => rm(path)))
const bytes = await sizeOf(join(root, 'node_modules'))
process.stdout.write(
  `Installed for production: ${(bytes / 1e6).toFixed(0)} MB. The largest:\n${describeLargest(packages)}\n`,
)

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  )
  return sizes.reduce((sum, one) => sum + one, 0)
}
