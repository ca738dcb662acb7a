import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

/** The text of a file, or `otherwise` when it cannot be read. */
export async function readOr(otherwise: string, path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => otherwise)
}

/** The texts of these files, by their paths relative to the root. */
export async function readTexts(
  root: string,
  files: readonly string[],
): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const path of files) texts.set(path, await readFile(join(root, path), 'utf8'))
  return texts
}
