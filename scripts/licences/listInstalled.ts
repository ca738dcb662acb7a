import { join } from 'node:path'
import { listWorkspaces } from '../check/listWorkspaces.ts'
import { followDependencies, type InstalledManifest } from './followDependencies.ts'

export interface InstalledPackage {
  name: string
  version: string
  /** An SPDX expression; undefined when the package names no licence. */
  licence: string | undefined
  /** Whether the product runs with it. All others only build or test it. */
  isProduction: boolean
  /** Whether it is for one kind of machine: another machine has a sister of it, or none. */
  isOfPlatform: boolean
}

/**
 * Lists the foreign packages that the workspace has installed, by name. It follows dependencies: from the apps and the
 * root to what the product runs with, and from all devDependencies to the rest.
 */
export async function listInstalled(root: string): Promise<InstalledPackage[]> {
  const workspaces = await listWorkspaces(root)
  const apps = workspaces.map(({ folder }) => folder).filter((folder) => folder.startsWith('apps/'))
  const production = new Map<string, InstalledManifest>()
  for (const folder of ['.', ...apps]) await followDependencies(join(root, folder), production)
  const all = new Map(production)
  for (const folder of ['.', ...workspaces.map((workspace) => workspace.folder)]) {
    await followDependencies(join(root, folder), all, ['dependencies', 'devDependencies'])
  }
  const packages = [...all].map(([path, manifest]) => describe(manifest, production.has(path)))
  // The same version may be installed twice, with other peers.
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
