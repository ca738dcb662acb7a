import { defineJob, type Job } from '@roundsman/engine'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { pino } from 'pino'
import { openTestDatabase, type OpenedDatabase } from './openTestDatabase.ts'

export const log = pino({ level: 'silent' })
export const echo = defineJob({ name: 'echo', description: 'Says what it was told.' })
export const jobs: readonly Job[] = [echo]

export interface Host extends OpenedDatabase {
  client: JobsClient
}

/** What a product brings: a database with the tables, and a started client. */
export async function openHost(): Promise<Host> {
  const database = await openTestDatabase()
  const client = createJobsClient({ databaseUrl: database.url, schema: 'public', log })
  await client.start()
  return {
    ...database,
    client,
    async close() {
      await client.stop()
      await database.close()
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
