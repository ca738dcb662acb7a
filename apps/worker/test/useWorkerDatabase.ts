import { openForTests, readWorkState } from '@roundsman/testing'
import { beforeEach } from 'vitest'
import { openWorkerDatabase, type WorkerDatabase } from './openWorkerDatabase.ts'

export interface UsedDatabase {
  database: WorkerDatabase
  runs(): ReturnType<WorkerDatabase['prisma']['jobRun']['findMany']>
  /** The state of the work; undefined once it is over. */
  queueState(id: string): Promise<string | undefined>
}

/** Has a database, without sessions, translations and records of jobs before each test of the file that calls it. */
export function useWorkerDatabase(): UsedDatabase {
  const database = openForTests(openWorkerDatabase)
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "PreviewSession", "I18nCacheEntry", "JobSchedule", "JobTick", "JobRun", "JobClaim", "JobWorker", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
  )
  return {
    database,
    runs: () => database.prisma.jobRun.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] }),
    queueState: (id) => readWorkState(database.prisma, id),
  }
}
