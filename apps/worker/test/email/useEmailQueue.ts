import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { dispatchEmail } from '@roundsman/jobs'
import {
  createSmtpServer,
  type CreateSmtpServerOptions,
  openForTests,
  type SmtpServer,
} from '@roundsman/testing'
import { pino } from 'pino'
import { beforeEach, onTestFinished } from 'vitest'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

const log = pino({ level: 'silent' })

export interface EmailQueue {
  database: WorkerDatabase
  client: JobsClient
  /** Enqueues the sending of these messages, as the rendering of their PDFs does. */
  enqueueEmails(emails: readonly { id: string }[]): Promise<void>
  runs(): ReturnType<WorkerDatabase['prisma']['jobRun']['findMany']>
}

/** Has a database, empty before each test of the file that calls it, and a client that enqueues e-mail there. */
export function useEmailQueue(): EmailQueue {
  const database = openForTests(openWorkerDatabase)
  const client = openForTests(async () => {
    const opened = createJobsClient({ schema: 'public', databaseUrl: database.url, log })
    await opened.start()
    return { ...opened, close: opened.stop }
  })
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "Invoice", "InvoicePdf", "EmailMessage", "JobRun", "JobClaim", "JobThrottle", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique" cascade`,
  )

  return {
    database,
    client,
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
