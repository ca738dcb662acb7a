import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'

export interface DatabaseEnvironment {
  DATABASE_URL?: string | undefined
  DATA_DIR: string
}

export interface Database {
  url: string
  isEmbedded: boolean
  /** Gives the database up; the last process to do so stops an embedded one. */
  release(): Promise<void>
}

/**
 * The database of this process: the one that DATABASE_URL names, else the embedded one, which is started
 * or, when another process has started it, found.
 */
export async function acquireDatabase(
  env: DatabaseEnvironment,
  onProgress?: (message: string) => void,
): Promise<Database> {
  if (env.DATABASE_URL !== undefined) {
    return { url: env.DATABASE_URL, isEmbedded: false, release: async () => undefined }
  }
  const server = await acquireEmbeddedPostgres({
    dataDir: env.DATA_DIR,
    ...(onProgress && { onProgress }),
  })
  return { url: server.url, isEmbedded: true, release: server.release }
}
