// `pnpm docs:reference`: writes the API reference from the docstrings.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { REFERENCE, renderReference } from './renderReference.ts'

const root = join(import.meta.dirname, '../..')

// Removes pages of packages that are gone.
await rm(join(root, REFERENCE), { recursive: true, force: true })
for (const [path, text] of await renderReference(root)) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
  process.stdout.write(`${path}\n`)
}
