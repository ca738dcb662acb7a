// Writes the API reference from the docstrings: `pnpm docs:reference`.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { REFERENCE, renderReference } from './renderReference.ts'

const root = join(import.meta.dirname, '../..')

// What is no entry's any more goes.
await rm(join(root, REFERENCE), { recursive: true, force: true })
for (const [path, text] of await renderReference(root)) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
  process.stdout.write(`${path}\n`)
}
