import { readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Manifest } from '../check/listWorkspaces.ts'

export interface InstalledManifest extends Manifest {
  version?: string
  license?: string | { type?: string }
  licenses?: { type?: string }[]
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
  os?: string[]
  cpu?: string[]
}

const OURS = /^(?:@roundsman\/|roundsman$)/

type Kind = 'dependencies' | 'devDependencies'

/**
 * Adds all that a folder needs, directly or not, as node_modules links it: manifests by folder. It passes through our
 * own packages without adding them.
 */
export async function followDependencies(
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
    if (visited.size > 1 && !OURS.test(manifest.name ?? '')) found.set(next.path, manifest)
    for (const name of namesOf(manifest, next.kinds)) {
      const path = await resolve(next.path, name)
      if (path !== undefined) queue.push({ path, kinds: ['dependencies'] })
    }
  }
}

function namesOf(manifest: InstalledManifest, kinds: readonly Kind[]): string[] {
  const { optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  // A package does without an optional peer; whoever needs that lists it.
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  )
  const needed = [...kinds.map((kind) => manifest[kind]), optionalDependencies]
  return [...needed.flatMap((names) => Object.keys(names ?? {})), ...peers]
}

/** Finds a package as Node does, upwards from the folder; undefined when it is optional and not installed. */
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
