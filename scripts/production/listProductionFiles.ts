import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { followDependencies, type InstalledManifest } from '../licences/followDependencies.ts'

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

/** Packages that bring far more than is ever loaded, by the files that are needed: a pattern of their paths. */
const NEEDED: readonly [name: RegExp, path: RegExp][] = [
  // Compilers of queries for five databases, in two sizes and two kinds of modules, each with a map.
  [
    /^@prisma\/client$/,
    /^(?!runtime\/)|^runtime\/(?:client\.m?js|query_compiler_fast_bg\.postgresql\..*mjs)$/,
  ],
  // Nine to eighteen weights, each with a picture.
  [/^@expo-google-fonts\//, /^(package\.json|LICENSE.*|(400Regular|700Bold)\/.*\.ttf)$/],
]

/** Whether the product needs a file of a package. All files of a package that is not listed count as needed. */
export function isNeeded(name: string, path: string): boolean {
  return NEEDED.every(([names, paths]) => !names.test(name) || paths.test(path))
}
