import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { listModules, packPublished } from '../../release/packPublished.ts'

const ROOT = join(import.meta.dirname, '../../..')
/** The folders whose dependencies a foreign product may also have. */
const HAVING = [
  '.',
  'packages/engine',
  'packages/db',
  'packages/admin',
  'packages/fastify',
  'packages/cli',
]

export interface InstalledPackages {
  /** The folder that an install would bring for a dependency of a product; undefined when this workspace lacks it. */
  folderOf(name: string): string | undefined
  /** The command line's program, as `npx roundsman` would start it. */
  bin: string
  close(): Promise<void>
}

/** Installs our packages as others get them, and whatever else this workspace has, without a network. */
export async function installPacked(): Promise<InstalledPackages> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-packed-')))
  const modules = join(root, 'node_modules')
  const found = new Map<string, string>()
  for (const folder of HAVING) {
    for (const [name, target] of await findModules(join(ROOT, folder, 'node_modules'))) {
      if (!found.has(name)) found.set(name, target)
    }
  }
  const packed = await packPublished(ROOT, join(root, 'tarballs'))
  for (const { name, files, manifest, folder } of packed) {
    for (const [path, text] of files) {
      const file = join(modules, name, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    }
    found.set(name, join(modules, name))
    const theirs = await findModules(join(ROOT, folder, 'node_modules'))
    for (const dependency of Object.keys({
      ...manifest.dependencies,
      ...manifest.peerDependencies,
    })) {
      const target = theirs.get(dependency)
      if (packed.some((one) => one.name === dependency) || target === undefined) continue
      // Each has its own dependencies, as a package manager would give it where versions differ.
      await link(target, join(modules, name, 'node_modules', dependency))
    }
  }
  return {
    folderOf: (name) => found.get(name),
    bin: join(modules, 'roundsman/dist/main.js'),
    close: () => rm(root, { recursive: true, force: true }),
  }
}

/** The packages in a node_modules folder, with where their links lead. */
async function findModules(folder: string): Promise<Map<string, string>> {
  const names = await listModules(folder)
  const targets = await Promise.all(names.map((name) => realpath(join(folder, name))))
  return new Map(names.map((name, nth) => [name, targets[nth] ?? '']))
}

export async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await symlink(target, path)
}
