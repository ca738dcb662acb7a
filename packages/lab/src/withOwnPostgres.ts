import { join } from 'node:path'
import { makeServerFolder, NOT_DURABLE, openThrowawayPostgres } from '@roundsman/testing'
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
  const dataDir = await makeServerFolder(`${name}-`, join(WORKSPACE_ROOT, '.data'))
  const postgres = await openThrowawayPostgres({
    dataDir,
    settings: { ...NOT_DURABLE, ...settings },
    signal,
  })
  try {
    return await work({ databaseUrl: postgres.url, dataDir })
  } finally {
    await postgres.release()
  }
}
