import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { openReader, type JobsReader } from '@roundsman/engine/client'
import { createTestDatabase } from '@roundsman/testing'
import { pino } from 'pino'

export interface WorkerDatabase {
  url: string
  prisma: PrismaClient
  reader: JobsReader
  close(): Promise<void>
}

/** Opens a database that the worker can use, and a client to look into it. */
export async function openWorkerDatabase(): Promise<WorkerDatabase> {
  const { url, drop } = await createTestDatabase()
  const log = pino({ level: 'silent' })
  const prisma = createDatabaseClient({
    url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  const reader = openReader({ schema: 'public', databaseUrl: url, log })
  return {
    url,
    prisma,
    reader,
    async close() {
      await reader.close()
      await prisma.$disconnect()
      await drop()
    },
  }
}
