import { ENGINE_SCHEMA, migrate, missingMigrations } from '@roundsman/db/admin'
import { createLogger } from '@roundsman/node-app'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'

/** Brings the product's tables up to date, and then the engine's. Returns the names of what it applied. */
export async function migrateDatabase(url: string): Promise<string[]> {
  const log = createLogger({ app: 'migrate', level: 'warn', destination: process.stderr })
  // Most starts have nothing to apply, and then need not load the migration engine.
  const applied = (await missingMigrations(url)).length > 0 ? await migrate(url) : []
  const done = await migrateEngine({ schema: ENGINE_SCHEMA, databaseUrl: url, log })
  return [...applied, ...done]
}
