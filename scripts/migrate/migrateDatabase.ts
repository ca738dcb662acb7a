import {
  describeTablesError,
  ENGINE_SCHEMA,
  migrate,
  missingMigrations,
  type DatabaseEnvironment,
} from '@roundsman/db/admin'
import { createLogger, EnvironmentError } from '@roundsman/node-app'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'

/**
 * Brings the engine's tables up to date, and then the product's. Returns the names of what it applied.
 * @throws EnvironmentError when the engine refuses its tables; then nothing was changed
 */
export async function migrateDatabase(url: string, env: DatabaseEnvironment): Promise<string[]> {
  const log = createLogger({ app: 'migrate', level: 'warn', destination: process.stderr })
  const done = await migrateEngine({ schema: ENGINE_SCHEMA, databaseUrl: url, log }).catch(
    (error: unknown) => {
      const problem = describeTablesError(error, env)
      throw problem === null ? error : new EnvironmentError([problem])
    },
  )
  // Most starts have nothing to apply, and then need not load the migration engine.
  const applied = (await missingMigrations(url)).length > 0 ? await migrate(url) : []
  return [...done, ...applied]
}
