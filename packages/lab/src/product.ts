import { createDatabaseClient, migrate as migrateTables } from '@roundsman/db'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { migrate } from '@roundsman/engine/migrate'
import { pino } from 'pino'

/** How the programs of the lab open the product, which has the engine's tables in its own schema. */
export const log = pino({ level: 'silent' })

export function openPrisma(
  url: string,
  applicationName: string,
  more: { poolSize?: number; canPrepare?: () => boolean } = {},
): ReturnType<typeof createDatabaseClient> {
  return createDatabaseClient({ url, applicationName, onPoolError: () => undefined, ...more })
}

export function createClient(databaseUrl: string): JobsClient {
  return createJobsClient({ schema: 'public', databaseUrl, log })
}

export async function migrateEngine(databaseUrl: string): Promise<void> {
  await migrate({ schema: 'public', databaseUrl, log })
}

/** The product's own tables, and those of the engine. */
export async function migrateAll(databaseUrl: string): Promise<void> {
  await migrateTables(databaseUrl)
  await migrateEngine(databaseUrl)
}
