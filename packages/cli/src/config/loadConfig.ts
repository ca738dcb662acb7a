import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createJiti } from 'jiti'
import { ForeseenError } from '../command/runCommand.ts'
import { exists } from '../init/readFiles.ts'
import type { RoundsmanConfig } from './config.ts'

export const CONFIG_NAMES = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'].map(
  (extension) => `roundsman.config.${extension}`,
)

export interface LoadedConfig {
  path: string
  config: RoundsmanConfig
}

/**
 * Loads the configuration of the product to which a folder belongs, or returns null when there is none in the product. It
 * changes the working directory to the configuration's folder, so that what that reads is found from anywhere.
 * @throws ForeseenError when it cannot be loaded, or is no configuration
 */
export async function loadConfig(from: string): Promise<LoadedConfig | null> {
  const path = await findConfig(from)
  if (path === null) return null
  process.chdir(dirname(path))
  const exported = await importConfig(path)
  const problem = findProblem(exported)
  if (problem !== null) throw new ForeseenError(`${path}: ${problem}`)
  return { path, config: exported as RoundsmanConfig }
}

/**
 * Lists the folder and those above it in its repository; without one, up to the first package.json. A folder of another owner
 * is not of the product: what others have put there must not be executed.
 */
async function listFolders(from: string): Promise<string[]> {
  const { uid } = await stat(from)
  const folders: string[] = []
  let product = 1
  for (let folder = from; (await stat(folder)).uid === uid; folder = dirname(folder)) {
    folders.push(folder)
    if (await exists(join(folder, '.git'))) return folders
    if (product === 1 && (await exists(join(folder, 'package.json')))) product = folders.length
    if (dirname(folder) === folder) break
  }
  return folders.slice(0, product)
}

/** The path of the configuration of the product to which a folder belongs. */
export async function findConfig(from: string): Promise<string | null> {
  for (const folder of await listFolders(from)) {
    for (const name of CONFIG_NAMES) {
      const path = join(folder, name)
      if (await exists(path)) return path
    }
  }
  return null
}

/**
 * Loads the product's TypeScript as its own tools would: ES modules and CommonJS, path aliases, enums, imports without
 * extensions. Node's own type stripping does not do that.
 */
async function importConfig(path: string): Promise<unknown> {
  const nothing = { default: {} }
  const jiti = createJiti(path, {
    tsconfigPaths: true,
    jsx: { runtime: 'automatic' },
    // These only keep modules out of browsers or servers, and would throw here.
    virtualModules: { 'server-only': nothing, 'client-only': nothing },
  })
  try {
    return await jiti.import(path, { default: true })
  } catch (error) {
    throw new ForeseenError(`${path} could not be loaded:\n${describe(error)}`, { cause: error })
  }
}

/** With the stack: the mistake may be in any file that the configuration imports. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (error.stack ?? error.message)
    .split('\n')
    .filter((line) => !/\bnode:internal\b|\/jiti\/(?:lib|dist)\//.test(line))
    .join('\n')
}

function findProblem(exported: unknown): string | null {
  if (!isObject(exported))
    return 'has no default export: write `export default defineConfig({ … })`'
  const { jobs, databaseUrl, schema, open } = exported
  if (!Array.isArray(jobs)) return 'its `jobs` is not a list of jobs'
  const wrong = jobs.findIndex((job) => !isObject(job) || typeof job['name'] !== 'string')
  if (wrong >= 0) return `its \`jobs[${wrong}]\` was not made by \`defineJob\``
  if (databaseUrl !== undefined && typeof databaseUrl !== 'string')
    return 'its `databaseUrl` is not a text'
  if (schema !== undefined && typeof schema !== 'string') return 'its `schema` is not a text'
  if (open !== undefined && typeof open !== 'function') return 'its `open` is not a function'
  return null
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
