import { migrate, missingMigrations, type Database } from '@roundsman/db'
import { EnvironmentError } from '@roundsman/node-app'
import { migrateQueue } from '@roundsman/engine/worker'
import type { Logger } from 'pino'
import type { WorkerEnvironment } from './env.ts'
import { openDatabase } from './openDatabase.ts'

/**
 * A database that the worker can work on. The embedded one is this installation's own and is migrated on
 * the way; on any other, migrations are a deploy step, and what is missing is said.
 * @throws EnvironmentError
 */
export async function openMigratedDatabase(env: WorkerEnvironment, log: Logger): Promise<Database> {
  const database = await openDatabase(
    env,
    (progress) => log.info({ progress }, 'embedded database'),
    (remedies) =>
      log.warn(
        { remedies },
        'connections to this database are not set as they ask to be: a pooler ignores it',
      ),
  )
  try {
    if (database.isEmbedded) {
      const missing = await missingMigrations(database.url)
      if (missing.length > 0) await migrate(database.url)
      await migrateQueue({ databaseUrl: database.url, jobs: env.jobs, log })
    } else {
      const missing = await missingMigrations(database.url)
      if (missing.length > 0) {
        throw new EnvironmentError([
          `DATABASE_URL: the database lacks ${missing.join(', ')}; apply them with pnpm db:migrate`,
        ])
      }
    }
    return database
  } catch (error) {
    await database.release()
    throw error
  }
}
