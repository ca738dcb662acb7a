import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { parseTsconfig, type TsConfigJsonResolved } from 'get-tsconfig'
import { ForeseenError } from '../command/runCommand.ts'
import type { FoundClient } from './findClient.ts'
import { findDatabase } from './findDatabase.ts'
import { findTooling } from './findTooling.ts'
import { listSources } from './listSources.ts'
import { dependenciesOf, parseManifest, type Manifest } from './manifest.ts'
import { exists, readOr, readTexts } from './readFiles.ts'
import { findStyle, type Style } from './style.ts'

export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'bun'
export type Database = 'prisma6' | 'prisma7' | 'drizzle' | 'kysely' | 'knex' | 'pg' | 'postgres'
export type Framework = 'next' | 'nuxt' | 'fastify' | 'nest' | 'express' | 'hono' | 'koa'
export type SchemaLibrary = 'zod' | 'valibot' | 'arktype'
export type TestRunner = 'vitest' | 'jest' | 'node:test'
/** What turns the sources into what production runs. Null: nothing. A bundler must be told about a second entry. */
export type Build = { by: 'tsc'; outDir: string } | { by: 'bundler' } | null

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
  /** By what imports name the product's own files: `@/` for those in `folder`, an empty text or `src/`. Null: no alias. */
  alias: { prefix: string; folder: string } | null
  /** The ending of relative imports: `.js`, `.ts`, or nothing. */
  importExtension: '' | '.js' | '.ts'
  build: Build
  /** The variable with the database's URL. */
  databaseVariable: string
  /** Whether a `.env` file of the product sets that variable. */
  hasDatabaseUrl: boolean
  /** What a worker needs instead of that URL, where it is a transaction pooler's. Null: nothing, or it is not known. */
  pooler: string | null
  /** How the product reads its `.env`: with the package, a flag of Node's, or by Next.js. Null: it does not. */
  envFile: 'dotenv' | 'node' | 'next' | null
  style: Style
  /** Paths of test files, relative to the root. */
  testFiles: readonly string[]
  /** What the manifest puts before other packages' versions. */
  versionPrefix: '^' | '~' | ''
}

/**
 * Looks at the product in this folder or one above.
 * @throws ForeseenError when there is none, or it is the root of a workspace
 */
export async function inspectProduct(from: string): Promise<ProductFacts> {
  const root = await findPackage(from)
  const manifestText = await readFile(join(root, 'package.json'), 'utf8')
  const manifest = parseManifest(root, manifestText)
  const tsconfig = await readTsconfig(root)
  const hasTypeScript = tsconfig !== null
  await refuseWorkspaceRoot(root, manifest, hasTypeScript)
  const compilerOptions = tsconfig?.compilerOptions ?? {}
  const sourceFolder = await findSources(root, manifest, compilerOptions)
  const files = await listSources(root)
  const texts = await readTexts(root, files)
  const isModule = manifest.type === 'module'
  return {
    root,
    manifest,
    manifestText,
    isModule,
    ...(await findDatabase(root, manifest, texts)),
    ...(await findTooling({ root, manifest, isModule, compilerOptions, sourceFolder }, texts)),
    hasPino: 'pino' in (manifest.dependencies ?? {}),
    compilerOptions,
    includesRoot: tsconfig !== null && includesRoot(tsconfig),
    hasTypeScript,
    sourceFolder,
    alias: findAlias(compilerOptions),
    style: findStyle([...texts.values()]),
    testFiles: files.filter((path) => /\.(test|spec)\.[cm]?tsx?$/.test(path)),
  }
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

/** init writes into one package, and only the caller knows which one of a workspace. */
async function refuseWorkspaceRoot(
  root: string,
  manifest: Manifest,
  hasTypeScript: boolean,
): Promise<void> {
  // pnpm keeps settings of a single package in that file, too.
  const isWorkspace =
    manifest.workspaces !== undefined ||
    /^packages:/m.test(await readOr('', join(root, 'pnpm-workspace.yaml')))
  const hasSources = await exists(join(root, 'src'))
  if (isWorkspace && !(hasTypeScript && hasSources)) {
    throw new ForeseenError(
      `${root} is the root of a workspace: run this in the package that works with the database, such as your API`,
    )
  }
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

/** Whether the compiler takes files that lie in the root itself. */
function includesRoot({ include, files }: TsConfigJsonResolved): boolean {
  if (include === undefined) return files === undefined
  return include.some((pattern) => {
    const first = pattern.replace(/^\.\//, '').split('/')[0] ?? ''
    return first === '.' || first.includes('*')
  })
}

async function findSources(
  root: string,
  manifest: Manifest,
  options: ProductFacts['compilerOptions'],
): Promise<string> {
  const dependencies = dependenciesOf(manifest)
  if ('next' in dependencies) return await findNextFolder(root)
  // Nuxt builds `app` for browsers and `server` for Node.
  if ('nuxt' in dependencies) return 'server'
  return await findSourceFolder(root, options)
}

/** Where a product on Next.js keeps what is no page: `src`, `lib`, or the root. */
async function findNextFolder(root: string): Promise<string> {
  for (const folder of ['app', 'pages']) if (await exists(join(root, 'src', folder))) return 'src'
  return (await exists(join(root, 'lib'))) ? 'lib' : ''
}

function findAlias({ paths = {} }: ProductFacts['compilerOptions']): ProductFacts['alias'] {
  for (const [name, [target = '']] of Object.entries(paths)) {
    const [, folder] = /^(?:\.\/)?(src\/|)\*$/.exec(target) ?? []
    if (name.endsWith('/*') && folder !== undefined) return { prefix: name.slice(0, -1), folder }
  }
  return null
}

/** Where the sources are, relative to the root: what the compiler says, or a usual name. */
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
