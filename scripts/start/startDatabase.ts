import { join } from 'node:path'
import { databaseProblem } from '@roundsman/db/admin'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { EnvironmentError } from '@roundsman/node-app'

export interface StackDatabase {
  url: string
  isEmbedded: boolean
  /** Where the database is, for people. */
  place: string
  release(): Promise<void>
}

export interface DatabaseOpening {
  /** What the start waits for, for people. */
  title: string
  opened: Promise<StackDatabase>
  /** Passes on what there is to tell about it, including what came before this call. */
  listen(onProgress: (message: string) => void): void
}

/** Starts the embedded database, or connects to the one of DATABASE_URL, without waiting for it. */
export function startDatabase(
  env: { DATABASE_URL?: string | undefined; DATA_DIR: string },
  signal: AbortSignal,
): DatabaseOpening {
  const { DATABASE_URL: url, DATA_DIR: dataDir } = env
  const kept: string[] = []
  let tell = (message: string): void => void kept.push(message)
  const opened =
    url === undefined ? startEmbedded(dataDir, (message) => tell(message), signal) : reach(url)
  // The caller awaits it later, unless another step fails first.
  opened.catch(() => undefined)
  return {
    title: url === undefined ? 'Starting PostgreSQL' : 'Connecting to the database',
    opened,
    listen(onProgress) {
      for (const message of kept) onProgress(message)
      tell = onProgress
    },
  }
}

async function startEmbedded(
  dataDir: string,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<StackDatabase> {
  const server = await acquireEmbeddedPostgres({ dataDir, onProgress, signal })
  // The folder, or a link to it where PostgreSQL can't enter this one.
  return { ...server, isEmbedded: true, place: join(dataDir, 'postgres') }
}

async function reach(url: string): Promise<StackDatabase> {
  const problem = await databaseProblem(url)
  if (problem !== null) throw new EnvironmentError([problem])
  const { host, pathname } = new URL(url)
  return { url, isEmbedded: false, place: `${host}${pathname}`, release: async () => undefined }
}
