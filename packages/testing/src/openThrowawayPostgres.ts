import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  acquireEmbeddedPostgres,
  type AcquireEmbeddedPostgresOptions,
  type EmbeddedPostgres,
} from '@roundsman/local-postgres'

/** Settings of a server that nobody needs after a crash: it waits for no disk. */
export const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

/** A PostgreSQL whose release also removes all of its files, and its data folder. */
export async function openThrowawayPostgres(
  options: AcquireEmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { dataDir } = options
  const remove = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  try {
    const postgres = await acquireEmbeddedPostgres(options)
    const home = dirname(postgres.directory)
    const release = async () => {
      await postgres.release()
      // Where PostgreSQL can't enter the folder, its files are elsewhere and this has a link to them.
      if (home !== dataDir) await remove(home)
      await remove(dataDir)
    }
    return { ...postgres, release }
  } catch (error) {
    await remove(dataDir)
    throw error
  }
}
