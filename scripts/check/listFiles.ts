import { execFile } from 'node:child_process'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * What is or may be committed: the tracked files, and those that are new and not ignored. Paths are
 * relative to the root, with slashes. Links and what was deleted are left out.
 */
export async function listFiles(root: string): Promise<string[]> {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await promisify(execFile)('git', args, {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  })
  const paths = [...new Set(stdout.split('\0').filter((path) => path !== ''))].toSorted()
  const isFile = await Promise.all(
    paths.map((path) =>
      lstat(join(root, path)).then(
        (stats) => stats.isFile(),
        () => false,
      ),
    ),
  )
  return paths.filter((_, index) => isFile[index])
}
