import {
  ENGINE_SCHEMA,
  acquireDatabase,
  databaseProblem,
  hasDatabase,
  missingMigrations,
  type DatabaseEnvironment,
} from '@roundsman/db'
import { ArgumentError } from '@roundsman/engine'
import { openReader, type JobsReader } from '@roundsman/engine/client'
import { deferSignals, ForeseenError, type Looked } from 'roundsman/commands'
import { pino } from 'pino'

/**
 * Reads from the database for commands that are of use without one, and returns why where it can't. It makes, migrates
 * and changes nothing; an embedded database that is not running is started, and stopped again.
 */
export async function lookIntoDatabase<Found>(
  env: DatabaseEnvironment,
  look: (reader: JobsReader) => Promise<Found>,
): Promise<Looked<Found>> {
  try {
    return { found: await withDatabase(env, (url) => lookInto(url, look)), reason: null }
  } catch (error) {
    // Nothing is wrong with the database then, but with the command line.
    if (error instanceof ArgumentError) throw error
    const { message } = error as Error
    if (error instanceof ForeseenError) return { found: null, reason: message }
    return { found: null, reason: message.trim().split('\n').at(-1) ?? '' }
  }
}

/** Opens the database that is there, for as long as the work takes. */
export async function withDatabase<Value>(
  env: DatabaseEnvironment,
  work: (url: string) => Promise<Value>,
): Promise<Value> {
  if (!(await hasDatabase(env))) {
    throw new ForeseenError('DATABASE_URL is not set, and there is no embedded database yet')
  }
  return await deferSignals(async () => {
    const { url, release } = await acquireDatabase(env)
    try {
      const problem = await databaseProblem(url)
      if (problem !== null) throw new ForeseenError(problem)
      const missing = await missingMigrations(url)
      if (missing.length === 0) return await work(url)
      throw new ForeseenError(
        `the database lacks ${missing.join(', ')}; apply them with pnpm db:migrate`,
      )
    } finally {
      await release()
    }
  })
}

/** Reads from the database at an address. */
export async function lookInto<Found>(
  url: string,
  look: (reader: JobsReader) => Promise<Found>,
): Promise<Found> {
  const reader = openReader({
    schema: ENGINE_SCHEMA,
    databaseUrl: url,
    log: pino({ level: 'silent' }),
    poolSize: 1,
    statementTimeoutMs: 10_000,
  })
  try {
    return await look(reader)
  } finally {
    await reader.close()
  }
}
