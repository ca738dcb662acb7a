import { migrate } from '../../packages/db/src/migrate.ts'
import { missingMigrations } from '../../packages/db/src/missingMigrations.ts'
import { createLogger } from '../../packages/node-app/src/index.ts'
import type { Job } from '../../packages/engine/src/index.ts'
import { migrateQueue } from '../../packages/engine/src/store/migrateQueue.ts'

/** Brings our tables and the queue's up to date. Returns the names of the migrations that it applied. */
export async function migrateDatabase(options: {
  url: string
  jobs: readonly Job[]
}): Promise<string[]> {
  const { url, jobs } = options
  const log = createLogger({ app: 'migrate', level: 'warn', destination: process.stderr })
  // Most starts find nothing to do, and to find that out takes no migration engine.
  const applied = (await missingMigrations(url)).length > 0 ? await migrate(url) : []
  await migrateQueue({ databaseUrl: url, jobs, log })
  return applied
}
