import {
  ENGINE_SCHEMA,
  describeTablesError,
  migrate,
  missingMigrations,
  type AcquiredDatabase,
  acquireDatabase,
  examineDatabase,
  type DatabaseEnvironment,
} from '@roundsman/db'
import { EnvironmentError } from '@roundsman/node-app'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import type { Logger } from 'pino'
import type { WorkerEnvironment } from './env.ts'

/**
 * Opens a database with all tables. The embedded one belongs to this installation and is migrated here; on another one
 * migrations are a deploy step, and missing ones are an error.
 * @throws EnvironmentError
 */
export async function acquireMigratedDatabase(
  env: WorkerEnvironment,
  log: Logger,
): Promise<AcquiredDatabase> {
  const database = await acquireUsableDatabase(
    env,
    (progress) => log.info({ progress }, 'embedded database'),
    (remedies) => log.warn({ remedies }, 'a pooler ignores settings that our connections ask for'),
  )
  try {
    if (database.isEmbedded) {
      // First what may refuse the database, which then stays as it is.
      await migrateEngine({ schema: ENGINE_SCHEMA, databaseUrl: database.url, log })
      const missing = await missingMigrations(database.url)
      if (missing.length > 0) await migrate(database.url)
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
    const problem = describeTablesError(error, env)
    throw problem === null ? error : new EnvironmentError([problem])
  }
}

/**
 * Opens the database of this process and waits until it has answered.
 * @throws EnvironmentError that says why there is none, with the remedy
 */
export async function acquireUsableDatabase(
  env: DatabaseEnvironment,
  onProgress: (message: string) => void,
  onRemedies: (remedies: string[]) => void = () => undefined,
): Promise<AcquiredDatabase> {
  const database = await acquireDatabase(env, onProgress).catch((error: unknown) => {
    // A plain Error explains itself, and DATA_DIR is the remedy; of any other the stack matters.
    if (!(error instanceof Error) || error.name !== 'Error') throw error
    throw new EnvironmentError([`DATA_DIR: ${error.message}`])
  })
  try {
    const { problem, remedies } = await examineDatabase(database.url)
    if (problem !== null) throw new EnvironmentError([problem])
    if (remedies.length > 0) onRemedies(remedies)
    return database
  } catch (error) {
    await database.release()
    throw error
  }
}
