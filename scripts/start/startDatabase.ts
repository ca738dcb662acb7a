import { join } from 'node:path'
import { databaseProblem } from '@roundsman/db/admin'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { EnvironmentError } from '@roundsman/node-app'

export interface StackDatabase {
  url: string
  isEmbedded: boolean
  /** Where it is, for people. */
  place: string
  release(): Promise<void>
}

export interface DatabaseOpening {
  /** What is waited for, for people. */
  title: string
  opened: Promise<StackDatabase>
  /** Passes on what there is to say of it, also what was said before. */
  listen(onProgress: (message: string) => void): void
}

/** Begins to start the embedded database or to reach the one that DATABASE_URL names. */
export function startDatabase(
  env: { DATABASE_URL?: string | undefined; DATA_DIR: string },
  signal: AbortSignal,
): DatabaseOpening {
  const { DATABASE_URL: url, DATA_DIR: dataDir } = env
  const kept: string[] = []
  let tell = (message: string): void => void kept.push(message)
  const opened =
    url === undefined ? startEmbedded(dataDir, (message) => tell(message), signal) : reach(url)
  // It is awaited later, if nothing else goes wrong before.
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
  // The folder, or a link to it where PostgreSQL may not enter this one.
  return { ...server, isEmbedded: true, place: join(dataDir, 'postgres') }
}

async function reach(url: string): Promise<StackDatabase> {
  const problem = await databaseProblem(url)
  if (problem !== null) throw new EnvironmentError([problem])
  const { host, pathname } = new URL(url)
  return { url, isEmbedded: false, place: `${host}${pathname}`, release: async () => undefined }
}
