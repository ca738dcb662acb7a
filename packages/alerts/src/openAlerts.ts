import { createHash } from 'node:crypto'
import { ENGINE_SCHEMA, type PrismaClient } from '@roundsman/db'
import type { HostLogger, Job } from '@roundsman/engine'
import {
  createAlertWatcher,
  createAlertWebhook,
  type AlertChannel,
  type AlertNotice,
  type AlertOptions,
} from '@roundsman/engine/alerts'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { dispatchEmail } from '@roundsman/jobs'
import type { AlertEnvironment } from './alertVariables.ts'

export interface OpenAlertsOptions {
  env: AlertEnvironment
  databaseUrl: string
  prisma: PrismaClient
  /** The jobs to watch. */
  jobs: readonly Job[]
  /** The part after the @ in message ids. */
  mailDomain: string
  log: HostLogger
  /** How often to look and to send; for tests. */
  timing?: Pick<AlertOptions, 'intervalMs' | 'retryDelayMs'> | undefined
}

/**
 * Notifies the receivers in the environment about problems of the jobs. Null if there are none. Run it in the API and in
 * each worker, since none could report its own death: one of them tells. It only puts mail into the outbox.
 */
export async function openAlerts(
  options: OpenAlertsOptions,
): Promise<{ close(): Promise<void> } | null> {
  const { env, databaseUrl, prisma, jobs, log } = options
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secret, ALERT_EMAIL_TO: to } = env
  const { ALERT_WEBHOOK_FORMAT: format } = env
  if (url === undefined && to.length === 0) return null
  const client =
    to.length === 0 ? null : createJobsClient({ databaseUrl, schema: ENGINE_SCHEMA, log })
  await client?.start()
  const watcher = createAlertWatcher({
    databaseUrl,
    schema: ENGINE_SCHEMA,
    jobs,
    log,
    channels: [
      ...(url === undefined ? [] : [createAlertWebhook({ url, secret, format })]),
      ...(client === null ? [] : [createOutboxChannel(client, prisma, to, options.mailDomain)]),
    ],
    limits: {
      failureRate: env.ALERT_FAILURE_PERCENT / 100,
      queueMinWaiting: env.ALERT_QUEUE_WAITING,
      queueGrowthMs: env.ALERT_QUEUE_MINUTES * 60_000,
    },
    consoleUrl: env.ALERT_CONSOLE_URL,
    ...options.timing,
  })
  watcher.start()
  return {
    async close() {
      await watcher.stop()
      await client?.stop()
    },
  }
}

/**
 * Writes one message for each recipient and enqueues the work that sends it, in one transaction. A notice that comes again
 * adds nothing.
 */
function createOutboxChannel(
  client: JobsClient,
  prisma: PrismaClient,
  recipients: readonly string[],
  mailDomain: string,
): AlertChannel {
  return {
    name: 'email',
    async send(notice) {
      const messages = recipients.map((recipient) => {
        const id = messageIdOf(notice, recipient)
        return {
          id,
          kind: 'alert' as const,
          recipient,
          messageId: `<${id}@${mailDomain}>`,
          subject: subjectOf(notice),
          text: textOf(notice),
        }
      })
      await prisma.$transaction(async (tx) => {
        for (const data of messages) {
          const { count } = await tx.emailMessage.createMany({ data, skipDuplicates: true })
          if (count === 0) continue
          await client.enqueue(
            tx,
            dispatchEmail,
            { emailId: data.id },
            { uniqueKey: data.id, enqueuedBy: 'alerts' },
          )
        }
      })
    },
  }
}

/** Gives the same notice the same id, so that a second delivery finds the first. */
function messageIdOf({ id, event }: AlertNotice, recipient: string): string {
  const hex = createHash('sha256').update(`${id} ${event} ${recipient}`).digest('hex')
  const version = `8${hex.slice(13, 16)}`
  const variant = `${((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)}${hex.slice(18, 20)}`
  return [hex.slice(0, 8), hex.slice(8, 12), version, variant, hex.slice(20, 32)].join('-')
}

function subjectOf({ text }: AlertNotice): string {
  // Half of a pair at its end would be refused, and with it the message.
  return `[Roundsman] ${text}`.slice(0, 200).toWellFormed()
}

function textOf({ text, event, startedAt, endedAt, facts, url }: AlertNotice): string {
  return [
    text,
    '',
    `Since: ${startedAt}`,
    ...(endedAt === null ? [] : [`Until: ${endedAt}`]),
    ...(event === 'began' ? Object.entries(facts).map(([name, value]) => `${name}: ${value}`) : []),
    ...(url === null ? [] : ['', url]),
    '',
  ].join('\n')
}
