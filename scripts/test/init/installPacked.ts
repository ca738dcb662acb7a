import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { TestProject } from 'vitest/node'
import { listModules, packPublished, type PackedPackage } from '../../release/packPublished.ts'

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
  /** By the name of a dependency of a product: the folder that an install would bring, if this workspace has it. */
  folders: Record<string, string>
  /** The command line's program, as `npx roundsman` would start it. */
  bin: string
  packed: Omit<PackedPackage, 'files'>[]
}

declare module 'vitest' {
  export interface ProvidedContext {
    installed: InstalledPackages
  }
}

/** Installs our packages as others get them, once for all tests, and whatever else this workspace has, without a network. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
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
      ...manifest.optionalDependencies,
    })) {
      const target = theirs.get(dependency)
      if (packed.some((one) => one.name === dependency) || target === undefined) continue
      // Each has its own dependencies, as a package manager would give it where versions differ.
      await link(target, join(modules, name, 'node_modules', dependency))
    }
  }
  project.provide('installed', {
    folders: Object.fromEntries(found),
    bin: join(modules, 'roundsman/dist/main.js'),
    packed: packed.map((one) => {
      const { files: _, ...told } = one
      return told
    }),
  })
  return () => rm(root, { recursive: true, force: true })
}

/** The packages that were packed, with their files. */
export async function readPacked({ packed, folders }: InstalledPackages): Promise<PackedPackage[]> {
  return await Promise.all(
    packed.map(async (one) => {
      const folder = folders[one.name] ?? ''
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      const files = entries
        .filter((entry) => entry.isFile())
        .map(async ({ parentPath, name }) => {
          const path = join(parentPath, name)
          return [relative(folder, path), await readFile(path)] as const
        })
      return { ...one, files: new Map(await Promise.all(files)) }
    }),
  )
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
