import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { createTestDatabase, createUserOfEachRole, type TestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll } from 'vitest'

export const PASSWORD = 'correct horse battery staple'

export interface ServerDatabase {
  /** Only once the tests run. */
  readonly database: TestDatabase
  /** The variables of a server that starts; a test adds its own. */
  environment(extra?: Record<string, string | undefined>): Record<string, string | undefined>
}

/** Has a database with a user of each role for all tests of the file that calls it. */
export function useServerDatabase(
  prepare: (prisma: PrismaClient) => Promise<unknown> = () => Promise.resolve(),
): ServerDatabase {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
    const prisma = createDatabaseClient({
      url: database.url,
      applicationName: 'tests',
      onPoolError: () => undefined,
    })
    await createUserOfEachRole(prisma, PASSWORD)
    await prepare(prisma)
    await prisma.$disconnect()
  })
  afterAll(() => database.drop())
  return {
    get database() {
      return database
    },
    environment: (extra = {}) => ({
      NODE_ENV: undefined,
      HOST: undefined,
      LOG_LEVEL: undefined,
      ROUNDSMAN_SUPERVISED: undefined,
      PORT: '0',
      DATABASE_URL: database.url,
      JWT_SECRET: 'a secret for tests, of thirty-two or more characters',
      ...extra,
    }),
  }
}
