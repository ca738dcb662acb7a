import { openAlerts } from '@roundsman/alerts'
import { dispatchEmail, jobs } from '@roundsman/jobs'
import { createSmtpServer, openForTests, openMonitor, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { readWorkerEnvironment } from '../src/env.ts'
import { startMailWorker } from './email/startMailWorker.ts'
import { startWorkerHere } from './startWorkerProcess.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'

const database = openForTests(openWorkerDatabase)

it('of an API and a worker that watch, one tells: by webhook, and by mail through the outbox', async () => {
  const receiver = await openMonitor()
  const smtp = await createSmtpServer()
  onTestFinished(() => smtp.close())
  await startMailWorker(database, { smtpUrl: smtp.url })
  const env = readWorkerEnvironment({
    ALERT_WEBHOOK_URL: receiver.url.href,
    ALERT_EMAIL_TO: 'oncall@example.com,admin@example.com',
    ALERT_CONSOLE_URL: 'https://shop.example.com/console',
  })
  for (let nth = 0; nth < 2; nth++) {
    const alerts = await openAlerts({
      env,
      databaseUrl: database.url,
      prisma: database.prisma,
      // Nobody schedules the others here, which would be a problem of its own.
      jobs: [dispatchEmail],
      mailDomain: 'example.com',
      log: pino({ level: 'silent' }),
      timing: { intervalMs: 20, retryDelayMs: 1 },
    })
    onTestFinished(() => alerts?.close())
  }

  const [{ id } = { id: '' }] = await database.prisma.$queryRaw<{ id: string }[]>`
    insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
    values (gen_random_uuid(), ${dispatchEmail.name}, 3, 2, '{}', 'smtp_unavailable', '') returning "id"::text`
  await waitFor(() => receiver.requests.length === 1 && smtp.messages.length === 2)
  await database.prisma.$executeRaw`delete from "JobDeadLetter" where "id" = ${id}::uuid`
  await waitFor(() => receiver.requests.length === 2 && smtp.messages.length === 4)

  const subject = 'dispatchEmail has 1 dead letter, 1 in the last hour, with smtp_unavailable.'
  const over = 'Over: dispatchEmail has no dead letters any more, or no new ones for a day.'
  expect(receiver.requests.map(({ body }) => (JSON.parse(body) as { text: string }).text)).toEqual([
    subject,
    over,
  ])
  const mails = smtp.messages.map(({ recipients: [to], mail }) => `${to} ${mail.subject}`)
  expect(mails.toSorted((a, b) => a.localeCompare(b))).toEqual([
    `admin@example.com [Roundsman] ${subject}`,
    `admin@example.com [Roundsman] ${over}`,
    `oncall@example.com [Roundsman] ${subject}`,
    `oncall@example.com [Roundsman] ${over}`,
  ])
  const [first] = smtp.messages
  expect(first?.mail.text).toContain(
    'https://shop.example.com/console/dead-letters?name=dispatchEmail',
  )
  expect(first?.mail.html).toContain('count: 1')
  // The row says so only after the server has the message.
  await waitFor(
    async () =>
      (await database.prisma.emailMessage.count({ where: { kind: 'alert', status: 'sent' } })) ===
      4,
  )
})

it('a worker tells whom its environment names, and stops as ever', async () => {
  const receiver = await openMonitor()
  const [{ id } = { id: '' }] = await database.prisma.$queryRaw<{ id: string }[]>`
    insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
    values (gen_random_uuid(), ${dispatchEmail.name}, 3, 2, '{}', 'pdf_missing', '') returning "id"::text`
  onTestFinished(async () => {
    await database.prisma.$executeRaw`delete from "JobDeadLetter" where "id" = ${id}::uuid`
  })

  const worker = await startWorkerHere(database, { ALERT_WEBHOOK_URL: receiver.url.href })
  await waitFor(() => receiver.requests.length > 0)

  expect(JSON.parse(receiver.requests[0]?.body ?? '')).toMatchObject({ code: 'pdf_missing' })
  expect(await worker.stop()).toBe(0)
})

it('nobody watches where nobody is to be told', async () => {
  const log = pino({ level: 'silent' })
  const { url: databaseUrl, prisma } = database
  const env = readWorkerEnvironment({})
  expect(
    await openAlerts({ env, databaseUrl, prisma, jobs, mailDomain: 'example.com', log }),
  ).toBeNull()
})
