import { createTestDatabase, openForTests } from '@roundsman/testing'
import { pino } from 'pino'
import { createPlainClient } from './fixtures/plainClient.ts'

/** Has a database without tables for the tests of a file, and a client of it. */
export function usePlainClient() {
  const database = openForTests(async () => {
    const { url, drop } = await createTestDatabase({ migrated: false })
    return { url, close: drop }
  })
  const client = openForTests(async () => {
    const opened = createPlainClient(database.url, pino({ level: 'silent' }))
    return { ...opened, close: opened.$disconnect }
  })
  return { database, client }
}
