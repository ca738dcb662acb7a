import { execFile } from 'node:child_process'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * Lists what is or may be committed: tracked files, and new ones that are not ignored, relative to the root, with
 * slashes. Links and deleted files are left out.
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
