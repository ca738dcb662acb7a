import { dirname, join } from 'node:path'
import type {
  Build,
  Framework,
  PackageManager,
  ProductFacts,
  SchemaLibrary,
  TestRunner,
} from './inspectProduct.ts'
import { dependenciesOf, lowestVersion, parseManifest, type Manifest } from './manifest.ts'
import { exists, readOr } from './readFiles.ts'

/** Finds with what a product is installed, built and tested, and how it writes imports and versions. */
export async function findTooling(
  {
    root,
    manifest,
    isModule,
    compilerOptions,
    sourceFolder,
  }: Pick<ProductFacts, 'root' | 'manifest' | 'isModule' | 'compilerOptions' | 'sourceFolder'>,
  texts: ReadonlyMap<string, string>,
): Promise<
  Pick<
    ProductFacts,
    | 'packageManager'
    | 'framework'
    | 'schemaLibrary'
    | 'testRunner'
    | 'importExtension'
    | 'build'
    | 'versionPrefix'
  >
> {
  const dependencies = dependenciesOf(manifest)
  return {
    packageManager: await findPackageManager(root),
    framework: findFramework(dependencies),
    schemaLibrary: findSchemaLibrary(dependencies),
    testRunner:
      findTestRunner(dependencies, manifest) ?? ((await hasVitestAbove(root)) ? 'vitest' : null),
    // Nuxt bundles the server, and writes imports without endings.
    importExtension:
      findFramework(dependencies) === 'nuxt'
        ? ''
        : findImportExtension(texts, isModule, compilerOptions),
    build: findBuild(manifest, compilerOptions, sourceFolder),
    versionPrefix: findVersionPrefix(manifest),
  }
}

const LOCK_FILES = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
] as const

/** The package's own, or that of its workspace. */
async function findPackageManager(folder: string): Promise<PackageManager> {
  const manifest = parseManifest(folder, await readOr('{}', join(folder, 'package.json')))
  const [, named] = /^(npm|pnpm|yarn|bun)@/.exec(manifest.packageManager ?? '') ?? []
  if (named !== undefined) return named as PackageManager
  for (const [file, manager] of LOCK_FILES) {
    if (await exists(join(folder, file))) return manager
  }
  const above = dirname(folder)
  if (above === folder || (await exists(join(folder, '.git')))) return 'npm'
  return await findPackageManager(above)
}

/** How to call a command that the product has installed. */
export function nearestCommand(manager: PackageManager, command: string): string {
  const runners = { npm: 'npx', pnpm: 'pnpm', yarn: 'yarn', bun: 'bunx' }
  return `${runners[manager]} ${command}`
}

/** How to call a command of `roundsman` in the product of this folder: `pnpm roundsman migrate`. */
export async function callOf(command: string, folder = process.cwd()): Promise<string> {
  // A package.json that cannot be read names none.
  const manager = await findPackageManager(folder).catch(() => 'npm' as const)
  return nearestCommand(manager, `roundsman ${command}`)
}

function findFramework(dependencies: Record<string, string>): Framework | null {
  if ('next' in dependencies) return 'next'
  if ('nuxt' in dependencies) return 'nuxt'
  if ('@nestjs/core' in dependencies) return 'nest'
  for (const name of ['fastify', 'express', 'hono', 'koa'] as const)
    if (name in dependencies) return name
  return null
}

/** The first version of each that supports Standard Schema. */
const SCHEMA_LIBRARIES: readonly [SchemaLibrary, major: number, minor: number][] = [
  ['zod', 3, 24],
  ['valibot', 1, 0],
  ['arktype', 2, 0],
]

function findSchemaLibrary(dependencies: Record<string, string>): SchemaLibrary | null {
  const found = SCHEMA_LIBRARIES.find(([name, ...since]) => {
    const range = dependencies[name]
    if (range === undefined) return false
    const [major, minor] = lowestVersion(range)
    return major > since[0] || (major === since[0] && minor >= since[1])
  })
  return found?.[0] ?? null
}

function findTestRunner(
  dependencies: Record<string, string>,
  { scripts = {} }: Manifest,
): TestRunner | null {
  if ('vitest' in dependencies) return 'vitest'
  if ('jest' in dependencies) return 'jest'
  const isBuiltIn = Object.values(scripts).some((script) => /\b(node|tsx)\b.*--test\b/.test(script))
  return isBuiltIn ? 'node:test' : null
}

/** Whether the root of its workspace has vitest, which every package below can import and which finds their tests. */
async function hasVitestAbove(folder: string): Promise<boolean> {
  for (const name of ['.git', ...LOCK_FILES.map(([file]) => file)]) {
    if (await exists(join(folder, name))) return false
  }
  const above = dirname(folder)
  if (above === folder) return false
  const manifest = parseManifest(above, await readOr('{}', join(above, 'package.json')))
  return 'vitest' in dependenciesOf(manifest) || (await hasVitestAbove(above))
}

/** How relative imports end: as the product's own do, or, without any, as Node and the compiler demand. */
function findImportExtension(
  texts: ReadonlyMap<string, string>,
  isModule: boolean,
  options: ProductFacts['compilerOptions'],
): '' | '.js' | '.ts' {
  const counts = { '': 0, '.js': 0, '.ts': 0 }
  for (const text of texts.values()) {
    for (const [, path = ''] of text.matchAll(/\bfrom ['"](\.{1,2}\/[^'"]+)['"]/g)) {
      const [, extension = ''] = /(\.[jt]s)$/.exec(path) ?? []
      counts[extension as keyof typeof counts] += 1
    }
  }
  const [most] = (Object.entries(counts) as ['' | '.js' | '.ts', number][]).toSorted(
    ([, a], [, b]) => b - a,
  )
  const resolution = (options.moduleResolution ?? options.module ?? '').toLowerCase()
  const isNode = /^node(16|18|20|next)$/.test(resolution)
  if (most !== undefined && most[1] > 0 && !(isNode && isModule && most[0] === '')) return most[0]
  if (options.allowImportingTsExtensions || options.rewriteRelativeImportExtensions) return '.ts'
  return isModule && (isNode || resolution === '') ? '.js' : ''
}

/** What the script `build` does with the sources. */
function findBuild(
  { scripts = {} }: Manifest,
  { outDir, noEmit, rootDir }: ProductFacts['compilerOptions'],
  sourceFolder: string,
): Build {
  const build = scripts['build'] ?? ''
  if (
    /\b(next|nuxt|tsup|tsdown|esbuild|rollup|vite|webpack|ncc|unbuild|rolldown|parcel|bun build)\b/.test(
      build,
    )
  ) {
    return { by: 'bundler' }
  }
  if (!/\b(tsc|nest|swc|tsgo)\b/.test(build) || noEmit) return null
  const folder = withoutSlashes(outDir ?? '.')
  // Without a rootDir the compiler takes the folder that all sources share.
  const keepsFolder = rootDir !== undefined && withoutSlashes(rootDir) !== sourceFolder
  return { by: 'tsc', outDir: keepsFolder ? `${folder}/${sourceFolder}` : folder }
}

/** `./dist/` as `dist`. */
function withoutSlashes(folder: string): string {
  return folder.replace(/^\.\//, '').replace(/\/$/, '')
}

/** What the manifest puts before most of its versions. */
function findVersionPrefix(manifest: Manifest): '^' | '~' | '' {
  const ranges = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })
  const count = (start: RegExp) => ranges.filter((range) => start.test(range)).length
  const [caret, tilde, exact] = [count(/^\^/), count(/^~/), count(/^\d/)]
  if (exact > caret && exact >= tilde) return ''
  return tilde > caret ? '~' : '^'
}
