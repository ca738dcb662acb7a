// `pnpm surface`: writes the list of what others can see. Its difference from the list of a release is what changes for them.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { renderSurface, SURFACE } from './renderSurface.ts'

const root = join(import.meta.dirname, '../..')
await writeFile(join(root, SURFACE), await renderSurface(root))
process.stdout.write(`${SURFACE}\n`)
