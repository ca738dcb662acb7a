import {
  ENGINE_SCHEMA,
  acquireDatabase,
  databaseProblem,
  hasDatabase,
  missingMigrations,
  type DatabaseEnvironment,
} from '@roundsman/db'
import { openReader, type Reader } from '@roundsman/engine/worker'
import { deferSignals, type Looked } from 'roundsman/commands'
import { pino } from 'pino'

/**
 * Looks something up where a database is to be had, for commands that are of use without one too. Nothing is made,
 * migrated or changed: an embedded database that is there and not running is started, and stopped again.
 */
export async function lookIntoDatabase<Found>(
  env: DatabaseEnvironment,
  look: (reader: Reader) => Promise<Found>,
): Promise<Looked<Found>> {
  try {
    if (!(await hasDatabase(env))) {
      const reason = 'DATABASE_URL is not set, and there is no embedded database yet'
      return { found: null, reason }
    }
    return await deferSignals(() => lookInto(env, look))
  } catch (error) {
    return { found: null, reason: (error as Error).message.trim().split('\n').at(-1) ?? '' }
  }
}

async function lookInto<Found>(
  env: DatabaseEnvironment,
  look: (reader: Reader) => Promise<Found>,
): Promise<Looked<Found>> {
  const { url, release } = await acquireDatabase(env)
  try {
    const problem = await databaseProblem(url)
    if (problem !== null) return { found: null, reason: problem }
    const missing = await missingMigrations(url)
    if (missing.length > 0) {
      const reason = `the database lacks ${missing.join(', ')}; apply them with pnpm db:migrate`
      return { found: null, reason }
    }
    const reader = openReader({
      schema: ENGINE_SCHEMA,
      databaseUrl: url,
      log: pino({ level: 'silent' }),
      poolSize: 1,
      statementTimeoutMs: 10_000,
    })
    try {
      return { found: await look(reader), reason: null }
    } finally {
      await reader.close()
    }
  } finally {
    await release()
  }
}
