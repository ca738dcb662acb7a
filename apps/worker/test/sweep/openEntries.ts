import type { PrismaClient } from '@roundsman/db'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { oldEntries } from '../../src/jobs/cleanupI18nCache.ts'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

/** Entries of before are due. */
export const NOW = new Date()
export const target = oldEntries(NOW)

/** For the suite that calls it: a database of its own, without entries at the beginning of each test. */
export function openEntries(): { readonly prisma: PrismaClient } {
  let database: WorkerDatabase
  beforeAll(async () => {
    database = await openWorkerDatabase()
  })
  afterAll(() => database.close())
  beforeEach(() => database.prisma.$executeRaw`truncate "I18nCacheEntry"`)
  return {
    get prisma() {
      return database.prisma
    },
  }
}
