export interface DatabaseEnvironment {
  DATABASE_URL?: string | undefined
  DATA_DIR: string
}

export interface AcquiredDatabase {
  url: string
  isEmbedded: boolean
  /** Gives the database up. The last process to do so stops an embedded one. */
  release(): Promise<void>
}

/** Returns the database that DATABASE_URL names, else the embedded one, which this starts unless another process has. */
export async function acquireDatabase(
  env: DatabaseEnvironment,
  onProgress?: (message: string) => void,
): Promise<AcquiredDatabase> {
  if (env.DATABASE_URL !== undefined) {
    return { url: env.DATABASE_URL, isEmbedded: false, release: async () => undefined }
  }
  const { acquireEmbeddedPostgres } = await loadLocalPostgres()
  const server = await acquireEmbeddedPostgres({
    dataDir: env.DATA_DIR,
    ...(onProgress && { onProgress }),
  })
  return { url: server.url, isEmbedded: true, release: server.release }
}

/** Whether acquireDatabase would find a database rather than create one. */
export async function hasDatabase(env: DatabaseEnvironment): Promise<boolean> {
  if (env.DATABASE_URL !== undefined) return true
  const { hasEmbeddedPostgres } = await loadLocalPostgres()
  return await hasEmbeddedPostgres(env.DATA_DIR)
}

/** Imported only when needed: an installation for production lacks it, and is 59 MB smaller. */
async function loadLocalPostgres() {
  try {
    return await import('@roundsman/local-postgres')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new Error(
      'There is no PostgreSQL to start: what is installed here is for production, and without one. Set ' +
        'DATABASE_URL to a PostgreSQL server (15 or newer).',
      { cause },
    )
  }
}
