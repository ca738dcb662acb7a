import { dispatchEmail } from '@roundsman/jobs'
import { createWorker, type Worker } from '@roundsman/engine/worker'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { createMailer, type MailerTimeouts } from '../../src/email/createMailer.ts'
import { dispatchEmail as handle } from '../../src/jobs/dispatchEmail.ts'
import type { WorkerDatabase } from '../openWorkerDatabase.ts'

export interface MailWorker {
  worker: Worker
  /** All lines that it has logged, at every level. */
  lines: string[]
  stop(): Promise<void>
}

export interface StartMailWorkerOptions {
  smtpUrl: string
  timeouts?: Partial<MailerTimeouts>
  /** How many runs go at once. Default 10. */
  concurrency?: number
}

/** Starts a worker in this process that only sends mail, as fast as it can. */
export async function startMailWorker(
  { url, prisma }: Pick<WorkerDatabase, 'url' | 'prisma'>,
  { smtpUrl, timeouts = {}, concurrency = 10 }: StartMailWorkerOptions,
): Promise<MailWorker> {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line) => void lines.push(line) })
  const from = { name: 'Example Company', address: 'billing@example.com' }
  const mailer = createMailer({ smtpUrl, from, timeouts })
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs: [{ ...dispatchEmail, rateLimit: null }],
    handlers: { dispatchEmail: handle({ prisma, mailer }) },
    log,
    concurrency,
  })
  const stop = async () => {
    await worker.stop()
    mailer.close()
  }
  onTestFinished(stop)
  await worker.start()
  return { worker, lines, stop }
}
