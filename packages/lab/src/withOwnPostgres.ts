import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { WORKSPACE_ROOT } from './startProcess.ts'

export interface OwnPostgres {
  databaseUrl: string
  /** For other files of the work. Removed afterwards. */
  dataDir: string
}

/** Does `work` with a PostgreSQL of its own, which is not safe from crashes, and is removed afterwards. */
export async function withOwnPostgres<Result>(
  options: {
    /** The beginning of its own folder's name. */
    name: string
    settings?: Record<string, string>
    signal: AbortSignal
  },
  work: (postgres: OwnPostgres) => Promise<Result>,
): Promise<Result> {
  const { name, settings, signal } = options
  const parent = join(WORKSPACE_ROOT, '.data')
  await mkdir(parent, { recursive: true })
  const dataDir = await realpath(await mkdtemp(join(parent, `${name}-`)))
  // When started by root, PostgreSQL runs under another account, which has to get in.
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
      // When PostgreSQL can't enter the folder, its files are elsewhere and this is a link to them.
      if (dirname(postgres.directory) !== dataDir) {
        await rm(dirname(postgres.directory), { recursive: true, force: true })
      }
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}
