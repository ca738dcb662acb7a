import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { followDependencies, type InstalledManifest } from '../licences/followDependencies.ts'
import { isNeeded } from './isNeeded.ts'

/** What is installed for production: the root brings what starts the other two side by side. */
const ROOTS = ['.', 'apps/api', 'apps/worker']

export interface ProductionPackage {
  name: string
  neededBytes: number
  /** Absolute paths of the files that nothing loads. */
  unneeded: string[]
}

/** The packages of others that API and worker run with, found by following dependencies; the largest first. */
export async function listProductionFiles(root: string): Promise<ProductionPackage[]> {
  const found = new Map<string, InstalledManifest>()
  for (const folder of ROOTS) await followDependencies(join(root, folder), found)
  const packages = await Promise.all(
    [...found].map(([folder, { name = '' }]) => readPackage(folder, name)),
  )
  return packages.toSorted((one, other) => other.neededBytes - one.neededBytes)
}

async function readPackage(folder: string, name: string): Promise<ProductionPackage> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const one: ProductionPackage = { name, neededBytes: 0, unneeded: [] }
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const inside = relative(folder, path).split(sep).join('/')
    if (isNeeded(name, inside)) one.neededBytes += (await stat(path)).size
    else one.unneeded.push(path)
  }
  return one
}
