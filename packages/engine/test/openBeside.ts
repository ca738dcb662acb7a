import { onTestFinished } from 'vitest'
import { openDatabase, type Database, type DatabaseOptions } from '../src/database/database.ts'
import { createSchema } from '../src/database/schema.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** Opens connections of the engine's own beside those of the runtime, until the test is over that asks for them. */
export function openBeside(
  { url, log }: Pick<TestRuntime, 'url' | 'log'>,
  options: Partial<DatabaseOptions> = {},
): Database {
  const database = openDatabase({
    schema: createSchema('public'),
    url,
    applicationName: 'test',
    log,
    ...options,
  })
  onTestFinished(() => database.close())
  return database
}
