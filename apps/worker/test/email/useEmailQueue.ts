import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { dispatchEmail } from '@roundsman/jobs'
import { createSmtpServer, type CreateSmtpServerOptions, type SmtpServer } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, onTestFinished } from 'vitest'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

export interface EmailQueue {
  /** Only once the tests run. */
  readonly database: WorkerDatabase
  readonly client: JobsClient
  /** Enqueues the sending of these messages, as the rendering of their PDFs does. */
  enqueueEmails(emails: readonly { id: string }[]): Promise<void>
  runs(): ReturnType<WorkerDatabase['prisma']['jobRun']['findMany']>
}

/** Has a database, empty before each test of the file that calls it, and a client that enqueues e-mail there. */
export function useEmailQueue(): EmailQueue {
  let database: WorkerDatabase
  let client: JobsClient

  beforeAll(async () => {
    database = await openWorkerDatabase()
    client = createJobsClient({
      schema: 'public',
      databaseUrl: database.url,
      log: pino({ level: 'silent' }),
    })
    await client.start()
  })
  afterAll(async () => {
    await client.stop()
    await database.close()
  })
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "Invoice", "InvoicePdf", "EmailMessage", "JobRun", "JobClaim", "JobThrottle", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique" cascade`,
  )

  return {
    get database() {
      return database
    },
    get client() {
      return client
    },
    async enqueueEmails(emails) {
      const items = emails.map(({ id }) => ({
        payload: { emailId: id },
        options: { uniqueKey: id },
      }))
      await database.prisma.$transaction((tx) => client.enqueueMany(tx, dispatchEmail, items))
    },
    runs: () =>
      database.prisma.jobRun.findMany({
        where: { name: dispatchEmail.name },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      }),
  }
}

/** A mail server that closes after the test. */
export async function openServer(options?: CreateSmtpServerOptions): Promise<SmtpServer> {
  const server = await createSmtpServer(options)
  onTestFinished(() => server.close())
  return server
}
