import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { createDatabase, dropDatabase } from './adminConnection.ts'
import { lookForClaims } from './lookForClaims.ts'
import { madeDatabases } from './madeDatabases.ts'

export interface TestDatabase {
  url: string
  /** Also under open connections. May be called again. */
  drop(): Promise<void>
}

export interface CreateTestDatabaseOptions {
  /** False: an empty database. Default: one with all migrations applied. */
  migrated?: boolean
}

/** A database for one test file, made in milliseconds as a copy of the migrated template. */
export async function createTestDatabase(
  options: CreateTestDatabaseOptions = {},
): Promise<TestDatabase> {
  const { adminUrl, prefix, template } = inject('testServer')
  const name = `${prefix}${randomBytes(6).toString('hex')}`
  const url = await createDatabase(
    adminUrl,
    name,
    options.migrated === false ? undefined : template,
  )
  madeDatabases.add(name)
  return {
    url,
    async drop() {
      if (madeDatabases.delete(name)) await lookForClaims(url)
      await dropDatabase(adminUrl, name)
    },
  }
}
