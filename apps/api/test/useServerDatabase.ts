import type { PrismaClient } from '@roundsman/db'
import { createUserOfEachRole, openForTests } from '@roundsman/testing'
import { openTestDatabase, type OpenedDatabase } from '@roundsman/testing/openTestDatabase'
import { beforeAll } from 'vitest'

export const PASSWORD = 'correct horse battery staple'

export interface ServerDatabase {
  database: OpenedDatabase
  /** The variables of a server that starts; a test adds its own. */
  environment(extra?: Record<string, string | undefined>): Record<string, string | undefined>
}

/** Has a database with a user of each role for all tests of the file that calls it. */
export function useServerDatabase(
  prepare: (prisma: PrismaClient) => Promise<unknown> = () => Promise.resolve(),
): ServerDatabase {
  const database = openForTests(openTestDatabase)
  beforeAll(async () => {
    await createUserOfEachRole(database.prisma, PASSWORD)
    await prepare(database.prisma)
  })
  return {
    database,
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
