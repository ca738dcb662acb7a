import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readAddress } from '@roundsman/engine/internal'
import { ForeseenError } from '../command/runCommand.ts'
import { readOr } from '../init/readFiles.ts'

/** The package with the embedded PostgreSQL. A product has it among its devDependencies, and this command line does not. */
export const LOCAL_POSTGRES = '@roundsman/local-postgres'

/** What is taken of that package. */
interface LocalPostgres {
  acquireEmbeddedPostgres(options: {
    dataDir: string
    onProgress?: (message: string) => void
  }): Promise<{ url: string; release(): Promise<void> }>
  hasEmbeddedPostgres(dataDir: string): Promise<boolean>
}

/** The folder of the embedded database, and of what `roundsman build` writes. */
const DATA_DIR = '.roundsman'

export interface LocalDatabase {
  url: string
  /** Whether `.env` got another URL than it had. */
  isNew: boolean
  /** Stops the server, unless another process uses it. */
  release(): Promise<void>
}

/**
 * Starts the embedded PostgreSQL of a product, when its URL is the given one or there is no URL, and keeps its URL in `.env`.
 * Null: the product has none, or the URL leads to another database.
 */
export async function startLocalDatabase(
  root: string,
  url: string | undefined,
  onProgress: (message: string) => void,
): Promise<LocalDatabase | null> {
  const local = await loadLocalPostgres(root)
  if (local === null) return null
  const dataDir = join(root, DATA_DIR)
  if (url && !(isEmbedded(url) && (await local.hasEmbeddedPostgres(dataDir)))) return null
  await mkdir(dataDir, { recursive: true })
  // Nobody commits it, whatever the product's own .gitignore says.
  await writeFile(join(dataDir, '.gitignore'), '*\n')
  const { url: current, release } = await local
    .acquireEmbeddedPostgres({ dataDir, onProgress })
    .catch((cause: unknown) => {
      throw new ForeseenError((cause as Error).message, { cause })
    })
  const path = join(root, '.env')
  const text = await readOr('', path)
  const changed = setVariable(text, 'DATABASE_URL', current)
  if (changed !== text) await writeFile(path, changed)
  return { url: current, isNew: changed !== text, release }
}

async function loadLocalPostgres(root: string): Promise<LocalPostgres | null> {
  let path: string
  try {
    path = createRequire(join(root, 'package.json')).resolve(LOCAL_POSTGRES)
  } catch {
    return null
  }
  return (await import(pathToFileURL(path).href)) as LocalPostgres
}

/** Its role and its database have one name, and it listens on this machine alone. */
function isEmbedded(url: string): boolean {
  const { host, database } = readAddress(url)
  return host === '127.0.0.1' && database === 'roundsman' && url.includes('//roundsman:')
}

/** Whether only this machine can reach the database: its host is a loopback address or the folder of a socket. */
export function isOnThisMachine(url: string): boolean {
  const { host } = readAddress(url)
  return /^(localhost|127(\.\d+){3}|::1|\/.*)$/.test(host)
}

/** Returns the text of a `.env` in which a variable has this value, and all else is as before. */
export function setVariable(text: string, name: string, value: string): string {
  const line = `${name}=${value}`
  const there = new RegExp(`^(?:export[ \\t]+)?${name}[ \\t]*=[^\\r\\n]*`, 'm')
  if (there.test(text)) return text.replace(there, () => line)
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`
}
