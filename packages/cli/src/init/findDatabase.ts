import { readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { knownPooler } from '@roundsman/engine/internal'
import { findClient, type FoundClient } from './findClient.ts'
import type { Database, ProductFacts } from './inspectProduct.ts'
import { listSources } from './listSources.ts'
import { dependenciesOf, lowestVersion, parseManifest, type Manifest } from './manifest.ts'
import { exists, readOr, readTexts } from './readFiles.ts'

/** Finds by what a product connects to PostgreSQL: its own client, or one that another package of its workspace exports. */
export async function findDatabase(
  root: string,
  manifest: Manifest,
  texts: ReadonlyMap<string, string>,
): Promise<
  Pick<
    ProductFacts,
    | 'database'
    | 'driver'
    | 'client'
    | 'prismaClient'
    | 'databaseVariable'
    | 'hasDatabaseUrl'
    | 'pooler'
    | 'envFile'
  >
> {
  const dependencies = dependenciesOf(manifest)
  const own = findOwnDatabase(dependencies)
  const shared = own === null ? await findSharedClient(root, dependencies) : null
  const database = own ?? shared?.database ?? null
  const databaseVariable = await findDatabaseVariable(root, texts)
  const urls = await readUrls(root, databaseVariable)
  return {
    database,
    driver: 'postgres' in dependencies && !('pg' in dependencies) ? 'postgres' : 'pg',
    client: own === null ? (shared?.client ?? null) : findClient(texts, own),
    prismaClient: database?.startsWith('prisma') ? await findPrismaClient(root) : null,
    databaseVariable,
    hasDatabaseUrl: urls.length > 0,
    pooler: urls.flatMap((url) => (URL.canParse(url) ? knownPooler(url) : null) ?? [])[0] ?? null,
    envFile: await findEnvFile(root, manifest),
  }
}

/** By what the product connects, when it depends on that itself. */
function findOwnDatabase(dependencies: Record<string, string>): Database | null {
  if ('@prisma/client' in dependencies || 'prisma' in dependencies) {
    const range = dependencies['@prisma/client'] ?? dependencies['prisma'] ?? ''
    return lowestVersion(range)[0] >= 7 ? 'prisma7' : 'prisma6'
  }
  if ('drizzle-orm' in dependencies) return 'drizzle'
  if ('kysely' in dependencies) return 'kysely'
  if ('knex' in dependencies) return 'knex'
  if ('pg' in dependencies) return 'pg'
  if ('postgres' in dependencies) return 'postgres'
  return null
}

/** Handlers that use these need no import but that of the client's package. */
const NEEDS_NO_IMPORT: readonly Database[] = ['prisma6', 'prisma7', 'knex', 'pg', 'postgres']

/** In a monorepo: a client that a package of the workspace exports on which this one depends. */
async function findSharedClient(
  root: string,
  dependencies: Record<string, string>,
): Promise<{ database: Database; client: FoundClient } | null> {
  for (const name of Object.keys(dependencies)) {
    const folder = await realpath(join(root, 'node_modules', name)).catch(() => null)
    // A package from a registry is in a node_modules.
    if (folder === null || folder.includes('node_modules')) continue
    const text = await readOr('{}', join(folder, 'package.json'))
    const database = findOwnDatabase(dependenciesOf(parseManifest(folder, text)))
    if (database === null || !NEEDS_NO_IMPORT.includes(database)) continue
    const client = findClient(await readTexts(folder, await listSources(folder)), database)
    if (client !== null && client.name !== 'default') {
      return { database, client: { path: name, name: client.name, isOfPackage: true } }
    }
  }
  return null
}

/** What Prisma's generated client is imported from, by the generator in the schema. */
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

/** The files of Prisma's schema: where its config says, else one file or the folder `schema`. */
async function listPrismaSchemas(root: string): Promise<string[]> {
  const config = await readOr('', join(root, 'prisma.config.ts'))
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

/** The variable that the product names most often for its database's URL. */
async function findDatabaseVariable(
  root: string,
  texts: ReadonlyMap<string, string>,
): Promise<string> {
  const usual = 'DATABASE_URL'
  const name =
    /\b((?:DATABASE|POSTGRES(?:QL)?|PG|DB)_(?:URL|URI|CONNECTION_STRING|CONNECTION_URL))\b/g
  const examples = await Promise.all(
    [
      '.env',
      '.env.local',
      '.env.example',
      '.env.sample',
      'prisma/schema.prisma',
      'prisma.config.ts',
    ].map((path) => readOr('', join(root, path))),
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

/** The database's URLs in the product's own files. */
async function readUrls(root: string, variable: string): Promise<string[]> {
  const line = new RegExp(`^\\s*(?:export\\s+)?${variable}\\s*=\\s*["']?([^"'\\s]+)`, 'm')
  const texts = ['.env', '.env.local'].map((path) => readOr('', join(root, path)))
  return (await Promise.all(texts)).flatMap((text) => line.exec(text)?.[1] ?? [])
}

/** How the product reads its `.env`. */
async function findEnvFile(
  root: string,
  { dependencies = {}, scripts = {} }: Manifest,
): Promise<ProductFacts['envFile']> {
  if ('next' in dependencies) return 'next'
  if ('dotenv' in dependencies) return 'dotenv'
  if (Object.values(scripts).some((script) => script.includes('--env-file'))) return 'node'
  return (await exists(join(root, '.env'))) ? 'node' : null
}
