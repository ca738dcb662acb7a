import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'

export interface OwnPostgres {
  databaseUrl: string
  /** For what else the work leaves on disk; gone afterwards. */
  dataDir: string
}

/** On a PostgreSQL that is there for nothing else, keeps nothing safe from a crash, and is gone afterwards. */
export async function withOwnPostgres<Result>(
  options: {
    /** The folder it is made in. */
    parent: string
    /** What its own folder's name begins with. */
    name: string
    settings?: Record<string, string>
    signal: AbortSignal
  },
  work: (postgres: OwnPostgres) => Promise<Result>,
): Promise<Result> {
  const { parent, name, settings, signal } = options
  await mkdir(parent, { recursive: true })
  const dataDir = await realpath(await mkdtemp(join(parent, `${name}-`)))
  // As root, PostgreSQL runs under another account, which has to get in.
  await chmod(dataDir, 0o755)
  try {
    const postgres = await acquireEmbeddedPostgres({
      dataDir,
      settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', ...settings },
      signal,
    })
    try {
      return await work({ databaseUrl: postgres.url, dataDir })
    } finally {
      await postgres.release()
      // Below a folder that PostgreSQL can't enter, its files are elsewhere and this is a link to them.
      if (dirname(postgres.directory) !== dataDir) {
        await rm(dirname(postgres.directory), { recursive: true, force: true })
      }
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}
