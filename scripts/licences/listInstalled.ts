import { readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listWorkspaces, type Manifest } from '../check/listWorkspaces.ts'

export interface InstalledPackage {
  name: string
  version: string
  /** An expression of SPDX; undefined when the package does not say. */
  licence: string | undefined
  /** Whether the product runs with it. All others only build or test it. */
  isProduction: boolean
  /** Whether it is for one kind of machine: on another one a sister of it is installed, or none. */
  isOfPlatform: boolean
}

interface InstalledManifest extends Manifest {
  version?: string
  license?: string | { type?: string }
  licenses?: { type?: string }[]
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
  os?: string[]
  cpu?: string[]
}

const OURS = '@roundsman/'

/**
 * Every package of others that the workspace has installed, by name. What the product runs with is found by
 * following dependencies from the apps, as they are linked in node_modules; the rest likewise, from what is for
 * development.
 */
export async function listInstalled(root: string): Promise<InstalledPackage[]> {
  const workspaces = await listWorkspaces(root)
  const apps = workspaces.filter(({ folder }) => folder.startsWith('apps/'))
  const production = new Map<string, InstalledManifest>()
  for (const { folder } of apps) await follow(join(root, folder), production)
  const all = new Map(production)
  for (const folder of ['.', ...workspaces.map((workspace) => workspace.folder)]) {
    await follow(join(root, folder), all, ['dependencies', 'devDependencies'])
  }
  const packages = [...all].map(([path, manifest]) => describe(manifest, production.has(path)))
  // The same version can be there twice, with other peers.
  const distinct = new Map<string, InstalledPackage>()
  for (const one of packages) {
    const key = `${one.name} ${one.version}`
    const isProduction = one.isProduction || distinct.get(key)?.isProduction === true
    distinct.set(key, { ...one, isProduction })
  }
  return [...distinct]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([, installed]) => installed)
}

type Kind = 'dependencies' | 'devDependencies'

/** Adds what a folder needs, and what that needs. Our own packages are gone through and not added. */
async function follow(
  folder: string,
  found: Map<string, InstalledManifest>,
  kinds: readonly Kind[] = ['dependencies'],
): Promise<void> {
  const visited = new Set<string>()
  const queue = [{ path: await realpath(folder), kinds }]
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (visited.has(next.path)) continue
    visited.add(next.path)
    const manifest = await readManifest(next.path)
    if (!manifest) continue
    if (visited.size > 1 && manifest.name?.startsWith(OURS) !== true) found.set(next.path, manifest)
    for (const name of namesOf(manifest, next.kinds)) {
      const path = await resolve(next.path, name)
      if (path !== undefined) queue.push({ path, kinds: ['dependencies'] })
    }
  }
}

function namesOf(manifest: InstalledManifest, kinds: readonly Kind[]): string[] {
  const { optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  // What a package can do without is somebody else's need, and found there.
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  )
  const needed = [...kinds.map((kind) => manifest[kind]), optionalDependencies]
  return [...needed.flatMap((names) => Object.keys(names ?? {})), ...peers]
}

/** As Node finds it, upwards from the package; undefined when it is not installed, being optional. */
async function resolve(from: string, name: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    const path = await realpath(candidate).catch(() => undefined)
    if (path !== undefined) return path
    if (folder === dirname(folder)) return undefined
  }
}

async function readManifest(folder: string): Promise<InstalledManifest | undefined> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as InstalledManifest)
}

function describe(manifest: InstalledManifest, isProduction: boolean): InstalledPackage {
  const { name = '', version = '', license, licenses, os, cpu } = manifest
  const said =
    typeof license === 'string'
      ? license
      : (license?.type ?? licenses?.map(({ type = '' }) => type).join(' OR '))
  return {
    name,
    version,
    licence: said === '' ? undefined : said,
    isProduction,
    isOfPlatform: os !== undefined || cpu !== undefined,
  }
}
