import { access, readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { parseTsconfig, type TsConfigJsonResolved } from 'get-tsconfig'
import { ForeseenError } from '../command/runCommand.ts'
import { findClient, type FoundClient } from './findClient.ts'
import { listSources } from './listSources.ts'
import { findStyle, type Style } from './style.ts'

export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'bun'
export type Database = 'prisma6' | 'prisma7' | 'drizzle' | 'kysely' | 'knex' | 'pg' | 'postgres'
export type Framework = 'fastify' | 'nest' | 'express' | 'hono'
export type SchemaLibrary = 'zod' | 'valibot' | 'arktype'
export type TestRunner = 'vitest' | 'jest' | 'node:test'
/** What turns the sources into what production runs. Null: nothing. A bundler must be told about a second entry. */
export type Build = { by: 'tsc'; outDir: string } | { by: 'bundler' } | null

export interface Manifest {
  name?: string
  type?: string
  packageManager?: string
  workspaces?: unknown
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

/** The facts about a product that the files which init writes must fit. */
export interface ProductFacts {
  root: string
  manifest: Manifest
  manifestText: string
  packageManager: PackageManager
  isModule: boolean
  /** Null when it has no PostgreSQL driver yet. */
  database: Database | null
  /** The driver below Drizzle. */
  driver: 'pg' | 'postgres' | null
  client: FoundClient | null
  /** What Prisma's generated client is imported from: a package's name, or a path relative to the root. */
  prismaClient: string | null
  framework: Framework | null
  schemaLibrary: SchemaLibrary | null
  testRunner: TestRunner | null
  hasPino: boolean
  compilerOptions: NonNullable<TsConfigJsonResolved['compilerOptions']>
  /** Whether the compiler includes files at the root. */
  includesRoot: boolean
  hasTypeScript: boolean
  /** Relative to the root: `src`, or an empty text when the sources are in the root itself. */
  sourceFolder: string
  /** The ending of relative imports: `.js`, `.ts`, or nothing. */
  importExtension: '' | '.js' | '.ts'
  build: Build
  /** The variable with the database's URL. */
  databaseVariable: string
  /** How the product reads its `.env`: with the package, or with a flag of Node's. Null: it does not. */
  envFile: 'dotenv' | 'node' | null
  style: Style
  /** Paths of test files, relative to the root. */
  testFiles: readonly string[]
  /** What the manifest puts before other packages' versions. */
  versionPrefix: '^' | '~' | ''
}

/** @throws ForeseenError when there is no product */
export async function inspectProduct(from: string): Promise<ProductFacts> {
  const root = await findPackage(from)
  const manifestText = await readFile(join(root, 'package.json'), 'utf8')
  const manifest = parseManifest(root, manifestText)
  const dependencies = dependenciesOf(manifest)
  const tsconfig = await readTsconfig(root)
  await refuseWorkspaceRoot(root, manifest, tsconfig !== null)
  const compilerOptions = tsconfig?.compilerOptions ?? {}
  const sourceFolder = await findSourceFolder(root, compilerOptions)
  const files = await listSources(root)
  const texts = await readTexts(root, files)
  const isModule = manifest.type === 'module'
  const own = findDatabase(dependencies)
  const shared = own === null ? await findSharedClient(root, dependencies) : null
  const database = own ?? shared?.database ?? null
  return {
    root,
    manifest,
    manifestText,
    packageManager: await findPackageManager(root, manifest),
    isModule,
    database,
    driver: 'postgres' in dependencies && !('pg' in dependencies) ? 'postgres' : 'pg',
    client: own === null ? (shared?.client ?? null) : findClient(texts, own),
    prismaClient: database?.startsWith('prisma') ? await findPrismaClient(root) : null,
    framework: findFramework(dependencies),
    schemaLibrary: findSchemaLibrary(dependencies),
    testRunner: findTestRunner(dependencies, manifest),
    hasPino: 'pino' in (manifest.dependencies ?? {}),
    compilerOptions,
    includesRoot: tsconfig !== null && includesRoot(tsconfig),
    hasTypeScript: tsconfig !== null,
    sourceFolder,
    importExtension: findImportExtension(texts, isModule, compilerOptions),
    build: findBuild(manifest, compilerOptions, sourceFolder),
    databaseVariable: await findDatabaseVariable(root, texts),
    envFile: await findEnvFile(root, manifest, database),
    style: findStyle([...texts.values()]),
    testFiles: files.filter((path) => /\.(test|spec)\.[cm]?tsx?$/.test(path)),
    versionPrefix: findVersionPrefix(manifest),
  }
}

/** All dependencies, shipped or not. */
export function dependenciesOf(manifest: Manifest): Record<string, string> {
  return { ...manifest.peerDependencies, ...manifest.devDependencies, ...manifest.dependencies }
}

async function findPackage(from: string): Promise<string> {
  if (await exists(join(from, 'package.json'))) return from
  const above = dirname(from)
  if (above === from) {
    throw new ForeseenError(
      'There is no package.json here or in a folder above: run this in the folder of your product',
    )
  }
  return await findPackage(above)
}

function parseManifest(root: string, text: string): Manifest {
  try {
    return JSON.parse(text) as Manifest
  } catch (error) {
    throw new ForeseenError(`${join(root, 'package.json')}: ${(error as Error).message}`)
  }
}

/** init writes into one package, and only the caller knows which one of a workspace. */
async function refuseWorkspaceRoot(
  root: string,
  manifest: Manifest,
  hasTypeScript: boolean,
): Promise<void> {
  const isWorkspace =
    manifest.workspaces !== undefined || (await exists(join(root, 'pnpm-workspace.yaml')))
  const hasSources = await exists(join(root, 'src'))
  if (isWorkspace && !(hasTypeScript && hasSources)) {
    throw new ForeseenError(
      `${root} is the root of a workspace: run this in the package that works with the database, such as your API`,
    )
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
async function findPackageManager(folder: string, manifest: Manifest): Promise<PackageManager> {
  const [, named] = /^(npm|pnpm|yarn|bun)@/.exec(manifest.packageManager ?? '') ?? []
  if (named !== undefined) return named as PackageManager
  for (const [file, manager] of LOCK_FILES) {
    if (await exists(join(folder, file))) return manager
  }
  const above = dirname(folder)
  if (above === folder || (await exists(join(folder, '.git')))) return 'npm'
  const text = await readFile(join(above, 'package.json'), 'utf8').catch(() => '{}')
  return await findPackageManager(above, parseManifest(above, text))
}

async function readTsconfig(root: string): Promise<TsConfigJsonResolved | null> {
  const path = join(root, 'tsconfig.json')
  if (!(await exists(path))) return null
  try {
    return parseTsconfig(path)
  } catch (error) {
    throw new ForeseenError(`${path}: ${(error as Error).message}`)
  }
}

function includesRoot({ include, files }: TsConfigJsonResolved): boolean {
  if (include === undefined) return files === undefined
  return include.some((pattern) => {
    const first = pattern.replace(/^\.\//, '').split('/')[0] ?? ''
    return first === '.' || first.includes('*')
  })
}

async function findSourceFolder(
  root: string,
  { rootDir }: ProductFacts['compilerOptions'],
): Promise<string> {
  if (rootDir !== undefined) {
    const folder = relative(root, join(root, rootDir))
    if (!folder.startsWith('..') && folder !== '') return folder
  }
  for (const folder of ['src', 'server', 'lib', 'app']) {
    if (await exists(join(root, folder))) return folder
  }
  return ''
}

async function readTexts(root: string, files: readonly string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const path of files) texts.set(path, await readFile(join(root, path), 'utf8'))
  return texts
}

function findDatabase(dependencies: Record<string, string>): Database | null {
  if ('@prisma/client' in dependencies || 'prisma' in dependencies) {
    const range = dependencies['@prisma/client'] ?? dependencies['prisma'] ?? ''
    return majorOf(range) >= 7 ? 'prisma7' : 'prisma6'
  }
  if ('drizzle-orm' in dependencies) return 'drizzle'
  if ('kysely' in dependencies) return 'kysely'
  if ('knex' in dependencies) return 'knex'
  if ('pg' in dependencies) return 'pg'
  if ('postgres' in dependencies) return 'postgres'
  return null
}

/** Handlers that use these need no import but that of the client's package. */
const SHARED: readonly Database[] = ['prisma6', 'prisma7', 'knex', 'pg', 'postgres']

/** In a monorepo: a client that a package of the workspace exports on which this one depends. */
async function findSharedClient(
  root: string,
  dependencies: Record<string, string>,
): Promise<{ database: Database; client: FoundClient } | null> {
  for (const name of Object.keys(dependencies)) {
    const folder = await realpath(join(root, 'node_modules', name)).catch(() => null)
    // A package from a registry is in a node_modules.
    if (folder === null || folder.includes('node_modules')) continue
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}')
    const database = findDatabase(dependenciesOf(parseManifest(folder, text)))
    if (database === null || !SHARED.includes(database)) continue
    const client = findClient(await readTexts(folder, await listSources(folder)), database)
    if (client !== null && client.name !== 'default') {
      return { database, client: { path: name, name: client.name, isOfPackage: true } }
    }
  }
  return null
}

function majorOf(range: string): number {
  return lowestOf(range)[0]
}

/** The lowest version that a range allows. What is no number (`latest`, `workspace:*`) counts as the newest. */
function lowestOf(range: string): [major: number, minor: number] {
  const [, major, minor = '0'] = /(\d+)(?:\.(\d+))?/.exec(range) ?? []
  return major === undefined ? [Number.POSITIVE_INFINITY, 0] : [Number(major), Number(minor)]
}

async function findPrismaClient(root: string): Promise<string> {
  const usual = '@prisma/client'
  for (const path of await listPrismaSchemas(root)) {
    const text = await readFile(path, 'utf8')
    const [, generator = ''] = /generator\s+\w+\s*\{([^}]*)\}/.exec(text) ?? []
    const [, provider = ''] = /provider\s*=\s*"([^"]+)"/.exec(generator) ?? []
    const [, output] = /output\s*=\s*"([^"]+)"/.exec(generator) ?? []
    if (!/^prisma-client(-js)?$/.test(provider)) continue
    if (output === undefined) return usual
    const folder = relative(root, join(dirname(path), output)).replaceAll('\\', '/')
    // The newer generator writes TypeScript, with `client` as its entry.
    return provider === 'prisma-client' ? `./${folder}/client` : `./${folder}`
  }
  return usual
}

async function listPrismaSchemas(root: string): Promise<string[]> {
  const config = await readFile(join(root, 'prisma.config.ts'), 'utf8').catch(() => '')
  const [, named] = /\bschema:\s*['"]([^'"]+)['"]/.exec(config) ?? []
  const places = [...(named === undefined ? [] : [named]), 'prisma', 'schema.prisma']
  const found: string[] = []
  for (const place of places) {
    if (place.endsWith('.prisma')) {
      if (await exists(join(root, place))) found.push(join(root, place))
      continue
    }
    for (const name of await readdir(join(root, place)).catch(() => [])) {
      if (name.endsWith('.prisma')) found.push(join(root, place, name))
      else if (name === 'schema') {
        const below = await readdir(join(root, place, name)).catch(() => [])
        found.push(
          ...below
            .filter((file) => file.endsWith('.prisma'))
            .map((file) => join(root, place, name, file)),
        )
      }
    }
  }
  return found
}

function findFramework(dependencies: Record<string, string>): Framework | null {
  if ('@nestjs/core' in dependencies) return 'nest'
  for (const name of ['fastify', 'express', 'hono'] as const) if (name in dependencies) return name
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
    const [major, minor] = lowestOf(range)
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

/** As the product's own imports end, or, without any, as Node and the compiler demand. */
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

function findBuild(
  { scripts = {} }: Manifest,
  { outDir, noEmit, rootDir }: ProductFacts['compilerOptions'],
  sourceFolder: string,
): Build {
  const build = scripts['build'] ?? ''
  if (
    /\b(tsup|tsdown|esbuild|rollup|vite|webpack|ncc|unbuild|rolldown|parcel|bun build)\b/.test(
      build,
    )
  ) {
    return { by: 'bundler' }
  }
  if (!/\b(tsc|nest|swc|tsgo)\b/.test(build) || noEmit) return null
  const folder = (outDir ?? '.').replace(/^\.\//, '').replace(/\/$/, '')
  // Without a rootDir the compiler takes the folder that all sources share.
  const keepsFolder = rootDir !== undefined && !isSame(rootDir, sourceFolder)
  return { by: 'tsc', outDir: keepsFolder ? `${folder}/${sourceFolder}` : folder }
}

function isSame(a: string, b: string): boolean {
  return a.replace(/^\.\//, '').replace(/\/$/, '') === b
}

async function findDatabaseVariable(
  root: string,
  texts: ReadonlyMap<string, string>,
): Promise<string> {
  const usual = 'DATABASE_URL'
  const name =
    /\b((?:DATABASE|POSTGRES(?:QL)?|PG|DB)_(?:URL|URI|CONNECTION_STRING|CONNECTION_URL))\b/g
  const examples = await Promise.all(
    ['.env', '.env.example', '.env.sample', 'prisma/schema.prisma', 'prisma.config.ts'].map(
      (path) => readFile(join(root, path), 'utf8').catch(() => ''),
    ),
  )
  const counts = new Map<string, number>()
  for (const text of [...examples, ...texts.values()]) {
    for (const [, found = ''] of text.matchAll(name))
      counts.set(found, (counts.get(found) ?? 0) + 1)
  }
  if (counts.size === 0 || counts.has(usual)) return usual
  const [[most] = [usual]] = [...counts].toSorted(([, a], [, b]) => b - a)
  return most
}

async function findEnvFile(
  root: string,
  { dependencies = {}, devDependencies = {}, scripts = {} }: Manifest,
  database: Database | null,
): Promise<ProductFacts['envFile']> {
  if ('dotenv' in dependencies) return 'dotenv'
  if (Object.values(scripts).some((script) => script.includes('--env-file'))) return 'node'
  // Prisma 6's client reads .env when it is loaded. A worker in production cannot import what only development has.
  const isRead = database === 'prisma6' || 'dotenv' in devDependencies
  return isRead && (await exists(join(root, '.env'))) ? 'node' : null
}

function findVersionPrefix(manifest: Manifest): '^' | '~' | '' {
  const ranges = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })
  const count = (start: RegExp) => ranges.filter((range) => start.test(range)).length
  const [caret, tilde, exact] = [count(/^\^/), count(/^~/), count(/^\d/)]
  if (exact > caret && exact >= tilde) return ''
  return tilde > caret ? '~' : '^'
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
