import { cp, mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { listFiles } from '../check/listFiles.ts'

/**
 * Copies this workspace into a fresh folder, which a test may change and which is gone when the test ends. Foreign
 * packages are shared with the original; ours lead into the copy.
 */
export async function copyWorkspace(original: string): Promise<string> {
  const copy = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-copy-')))
  onTestFinished(() => rm(copy, { recursive: true, force: true }))
  const files = await listFiles(original)
  const folders = new Set(files.map((path) => dirname(path)))
  for (const folder of folders) await mkdir(join(copy, folder), { recursive: true })
  await Promise.all(
    files.map((path) => cp(join(original, path), join(copy, path), { preserveTimestamps: true })),
  )
  const generated = 'packages/db/src/generated'
  await cp(join(original, generated), join(copy, generated), {
    recursive: true,
    preserveTimestamps: true,
  })
  await symlink(join(original, 'node_modules'), join(copy, 'node_modules'))
  for (const group of ['apps', 'packages']) {
    for (const name of await readdir(join(copy, group))) {
      const links = join(group, name, 'node_modules')
      // The links are relative, so they lead to our packages in the copy.
      await cp(join(original, links), join(copy, links), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.includes('/node_modules/.'),
      }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      })
    }
  }
  return copy
}
