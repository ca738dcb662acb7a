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
  /** False: an empty database. Default: one with all migrations applied, and with the queue's tables. */
  migrated?: boolean
  /** False: one to which our migrations are applied, and that no worker has been deployed to. Default: true. */
  withQueue?: boolean
}

/** A database for one test file, made in milliseconds as a copy of a template. */
export async function createTestDatabase(
  options: CreateTestDatabaseOptions = {},
): Promise<TestDatabase> {
  const { migrated = true, withQueue = true } = options
  const { adminUrl, prefix, copies, ...templates } = inject('testServer')
  const name = `${prefix}${randomBytes(6).toString('hex')}`
  const template = withQueue ? templates.template : templates.templateWithoutQueue
  const url = await createDatabase(adminUrl, name, migrated ? { template, copies } : undefined)
  madeDatabases.add(name)
  return {
    url,
    async drop() {
      if (madeDatabases.delete(name)) await lookForClaims(url)
      await dropDatabase(adminUrl, name)
    },
  }
}
