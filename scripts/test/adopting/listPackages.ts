import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Manifest {
  name: string
  version?: string
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

export interface ForeignPackage {
  folder: string
  /** Relative to the workspace. */
  path: string
  manifest: Manifest
}

/** The packages of the foreign workspace, and its root. */
export async function listPackages(root: string): Promise<ForeignPackage[]> {
  const groups = await Promise.all(
    ['libs', 'services'].map(async (group) =>
      (await readdir(join(root, group))).map((name) => `${group}/${name}`),
    ),
  )
  return await Promise.all(
    ['.', ...groups.flat()].map(async (path) => {
      const folder = join(root, path)
      return { folder, path, manifest: await readManifest(folder) }
    }),
  )
}

export async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
}
