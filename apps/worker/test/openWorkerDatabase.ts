import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import { migrateQueue } from '@roundsman/engine/worker'
import { createTestDatabase } from '@roundsman/testing'
import { pino } from 'pino'

export interface WorkerDatabase {
  url: string
  prisma: PrismaClient
  close(): Promise<void>
}

/** A database of its own on which the worker can work, and a client to look into it. */
export async function openWorkerDatabase(): Promise<WorkerDatabase> {
  const { url, drop } = await createTestDatabase()
  await migrateQueue({ databaseUrl: url, jobs, log: pino({ level: 'silent' }) })
  const prisma = createDatabaseClient({
    url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  return {
    url,
    prisma,
    async close() {
      await prisma.$disconnect()
      await drop()
    },
  }
}
