import { createJobsClient } from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import { pino } from 'pino'
import type { WorkerDatabase } from './openWorkerDatabase.ts'

/** Puts work for a job without a payload into the queue, as the API would. Returns its id. */
export async function enqueue({ url, prisma }: WorkerDatabase, job: Job): Promise<string> {
  const client = createJobsClient({
    schema: 'public',
    databaseUrl: url,
    log: pino({ level: 'silent' }),
  })
  await client.start()
  try {
    const { workId } = await prisma.$transaction((tx) => client.enqueue(tx, job, {}))
    return workId
  } finally {
    await client.stop()
  }
}
