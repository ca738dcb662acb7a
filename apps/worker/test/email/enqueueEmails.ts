import { dispatchEmail } from '@roundsman/jobs'
import { createJobsClient } from '@roundsman/engine/client'
import { pino } from 'pino'
import type { WorkerDatabase } from '../openWorkerDatabase.ts'

/** Puts the sending of these messages into the queue, as what renders their PDFs does. Returns the work's ids. */
export async function enqueueEmails(
  { url, prisma }: Pick<WorkerDatabase, 'url' | 'prisma'>,
  emails: readonly { id: string }[],
): Promise<string[]> {
  const client = createJobsClient({ databaseUrl: url, log: pino({ level: 'silent' }) })
  await client.start()
  try {
    const items = emails.map(({ id }) => ({ payload: { emailId: id }, options: { uniqueKey: id } }))
    const results = await prisma.$transaction((tx) => client.enqueueMany(tx, dispatchEmail, items))
    return results.map(({ queueJobId }) => queueJobId)
  } finally {
    await client.stop()
  }
}
