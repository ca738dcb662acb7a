import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { defineJob, type Job } from '@roundsman/engine'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { createTestDatabase } from './createTestDatabase.ts'
import { pino } from 'pino'

export const log = pino({ level: 'silent' })
export const echo = defineJob({ name: 'echo', description: 'Says what it was told.' })
export const jobs: readonly Job[] = [echo]

export interface Host {
  databaseUrl: string
  prisma: PrismaClient
  client: JobsClient
  close(): Promise<void>
}

/** What a product brings: a database with the tables, and a started client. */
export async function openHost(): Promise<Host> {
  const database = await createTestDatabase()
  const databaseUrl = database.url
  const prisma = createDatabaseClient({
    url: databaseUrl,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  const client = createJobsClient({ databaseUrl, schema: 'public', log })
  await client.start()
  return {
    databaseUrl,
    prisma,
    client,
    async close() {
      await client.stop()
      await prisma.$disconnect()
      await database.drop()
    },
  }
}

interface Access {
  actor: string
  view: boolean
  act: boolean
}

/** The simplest log-in: a header says who it is. */
export function accessOf(user: string | string[] | null | undefined): Access | null {
  switch (user) {
    case 'ada':
      return { actor: 'ada@example.com', view: true, act: true }
    case 'bob':
      return { actor: 'bob@example.com', view: true, act: false }
    case 'eve':
      return { actor: 'eve@example.com', view: false, act: false }
    default:
      return null
  }
}
