import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { followDependencies, type InstalledManifest } from '../licences/followDependencies.ts'

/** What a production install consists of. The root brings the program that starts the other two side by side. */
const ROOTS = ['.', 'apps/api', 'apps/worker']

export interface ProductionPackage {
  name: string
  neededBytes: number
  /** Absolute paths of the files that nothing loads. */
  unneeded: string[]
}

/** Lists the foreign packages with which API and worker run, by following dependencies; the largest comes first. */
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

/** Packages with far more files than we load, each with a pattern of the paths that we need. */
const NEEDED: readonly [name: RegExp, path: RegExp][] = [
  // Prisma ships query compilers for five databases, in two sizes and two kinds of modules, each with a map.
  [
    /^@prisma\/client$/,
    /^(?!runtime\/)|^runtime\/(?:client\.m?js|query_compiler_fast_bg\.postgresql\..*mjs)$/,
  ],
  // Each font comes in nine to eighteen weights, each with a picture.
  [/^@expo-google-fonts\//, /^(package\.json|LICENSE.*|(400Regular|700Bold)\/.*\.ttf)$/],
]

/** Whether we need a file of a package. Of packages that are not listed we need all. */
export function isNeeded(name: string, path: string): boolean {
  return NEEDED.every(([names, paths]) => !names.test(name) || paths.test(path))
}
