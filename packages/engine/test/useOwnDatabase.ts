import { openForTests } from '@roundsman/testing'
import { containedLog } from '../src/database/containedLog.ts'
import { openDatabase, type Database } from '../src/database/database.ts'
import { createTestSchema } from '../src/tables/testSchema.ts'

/** Has connections of the engine's own, beside test jobs, whose statements go by the time of these jobs. */
export function useOwnDatabase(
  database: Readonly<{ url: string }>,
  test: Readonly<{ schema: string }>,
): Database {
  return openForTests(async () =>
    openDatabase({
      url: database.url,
      schema: createTestSchema(test.schema),
      applicationName: 'test',
      log: containedLog({}),
    }),
  )
}
