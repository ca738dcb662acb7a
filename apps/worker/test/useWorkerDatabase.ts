import { readWorkState } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { openWorkerDatabase, type WorkerDatabase } from './openWorkerDatabase.ts'

export interface UsedDatabase {
  /** Only once the tests run. */
  readonly database: WorkerDatabase
  runs(): ReturnType<WorkerDatabase['prisma']['jobRun']['findMany']>
  /** The state of the work; undefined once it is over. */
  queueState(id: string): Promise<string | undefined>
}

/** Has a database, without sessions, translations and records of jobs before each test of the file that calls it. */
export function useWorkerDatabase(): UsedDatabase {
  let database: WorkerDatabase
  beforeAll(async () => {
    database = await openWorkerDatabase()
  })
  afterAll(() => database.close())
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "PreviewSession", "I18nCacheEntry", "JobSchedule", "JobTick", "JobRun", "JobClaim", "JobWorker", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
  )
  return {
    get database() {
      return database
    },
    runs: () => database.prisma.jobRun.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] }),
    queueState: (id) => readWorkState(database.prisma, id),
  }
}
