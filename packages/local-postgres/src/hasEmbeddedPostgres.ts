import { stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Whether a data folder has a cluster, running or not. One that belongs to another account counts: a process that opens it is told
 * so.
 */
export async function hasEmbeddedPostgres(dataDir: string): Promise<boolean> {
  try {
    await stat(join(dataDir, 'postgres', 'data', 'PG_VERSION'))
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES'
  }
}
