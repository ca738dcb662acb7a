import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

const MAX_FILES = 5_000
const PASSED_OVER = /^(node_modules|dist|build|out|lib-cov|coverage|generated|\..*)$/

/** The product's TypeScript files, tests included, relative to the root. At most about 5,000. */
export async function listSources(root: string): Promise<string[]> {
  const found: string[] = []
  const folders = ['']
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])
    for (const entry of entries.toSorted((a, b) => a.name.localeCompare(b.name))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory() && !PASSED_OVER.test(entry.name)) folders.push(path)
      if (entry.isFile() && /(?<!\.d)\.[cm]?tsx?$/.test(entry.name)) found.push(path)
    }
    if (found.length > MAX_FILES) break
  }
  return found
}
