// Not quick: starts processes.
import { join } from 'node:path'
import { dispatchEmail } from '@roundsman/jobs'
import { listDeadLetters } from '@roundsman/engine/client'
import { spawnProcess, waitFor, type SmtpMoment, type SmtpReaction } from '@roundsman/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { expectNothingPersonal } from '../email/expectNothingPersonal.ts'
import { insertEmail, insertEmails, type InsertedEmail } from '../email/insertEmails.ts'
import { openServer, useEmailQueue } from '../email/useEmailQueue.ts'
import { startMailWorker } from '../email/startMailWorker.ts'
import { holdTransaction } from '../holdTransaction.ts'
import { startWorkerHere, workerEnvironment } from '../startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../../src/cli.ts')

const { database, client, enqueueEmails, runs } = useEmailQueue()

const lastRun = () =>
  database.prisma.jobRun.findFirst({
    where: { name: dispatchEmail.name },
    orderBy: { attempt: 'desc' },
  })

const message = ({ id }: InsertedEmail) =>
  database.prisma.emailMessage.findUniqueOrThrow({ where: { id } })

/** The different statuses of all messages. */
const statuses = async () =>
  (await database.prisma.emailMessage.groupBy({ by: ['status'] })).map(({ status }) => status)

const allAre = (status: string) => async () => (await statuses()).every((each) => each === status)

async function deadLetters() {
  const { deadLetters: found } = await listDeadLetters(client.reader, { limit: 100 })
  return found
}

const redrive = () => client.redriveDeadLetters('all', { actor: 'tests', reason: 'mended' })

const work = () =>
  database.prisma.$queryRaw<{ attempt: number }[]>`
    select "attempt" from "JobWork" where "name" = ${dispatchEmail.name}`

/** Makes all work that waits for another attempt due now. */
const hurry = () =>
  database.prisma.$executeRaw`update "JobWork" set "dueAt" = now() where "attempt" > 1`

const hurriedUntil = (condition: () => Promise<boolean>) =>
  waitFor(
    async () => {
      await hurry()
      return await condition()
    },
    { timeoutMs: 60_000, intervalMs: 100 },
  )

const runEnds = (count: number) =>
  waitFor(async () => {
    const where = { name: dispatchEmail.name, status: { not: 'running' } } as const
    return (await database.prisma.jobRun.count({ where })) >= count
  })

describe('a server that takes everything', () => {
  it('gets each of many messages once, with both bodies and the PDF byte for byte', async () => {
    const server = await openServer()
    const emails = await insertEmails(database.prisma, 60)
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails(emails)

    await waitFor(allAre('sent'), { timeoutMs: 60_000 })

    expect(server.messages).toHaveLength(emails.length)
    const byRecipient = new Map(server.messages.map((each) => [each.recipients.join(), each]))
    for (const email of emails) {
      const { mail, sender } = byRecipient.get(email.recipient)!
      const [, , number = '', name = '', amount = ''] = email.secrets
      expect(sender).toBe('billing@example.com')
      expect(mail.messageId).toBe(email.messageId)
      expect(mail.subject).toBe(`Invoice ${number}`)
      expect(mail.to).toMatchObject({ value: [{ name, address: email.recipient }] })
      expect(mail.text).toContain(`Dear ${name},`)
      expect(mail.text).toContain(`Amount due: €${amount}.`)
      expect(mail.text).toContain('Due date: November 15, 2026')
      expect(mail.html).toContain(name.replace('&', '&amp;'))
      expect(mail.html).toContain(amount)
      expect(mail.attachments).toMatchObject([
        { contentType: 'application/pdf', filename: `${number}.pdf` },
      ])
      expect(mail.attachments[0]!.content.equals(email.pdf)).toBe(true)
    }
    // A run ends a moment after its message is marked.
    await runEnds(emails.length)
    const ended = await runs()
    expect(ended).toHaveLength(emails.length)
    expect(ended.every(({ status }) => status === 'success')).toBe(true)
    expect(ended[0]?.details).toEqual({ sent: 1, batches: 1 })
    const rows = await database.prisma.emailMessage.findMany()
    expect(rows.every(({ sentAt, errorCode }) => sentAt !== null && errorCode === null)).toBe(true)
  })

  it('gets nothing a second time', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    await waitFor(allAre('sent'))
    const { sentAt } = await message(email)
    await runEnds(1)

    await enqueueEmails([email])
    await runEnds(2)

    expect((await runs())[1]).toMatchObject({ status: 'success', details: { isAlreadySent: true } })
    expect(server.messages).toHaveLength(1)
    expect((await message(email)).sentAt).toEqual(sentAt)
  })

  it('gets nothing in a dry run, which says that it could be sent', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    const once = spawnOnce(['--payload', payload(email), '--dry-run'], { SMTP_URL: server.url })

    expect(await once.exited).toMatchObject({ code: 0 })

    expect(await runs()).toMatchObject([{ dryRun: true, details: { isSendable: true } }])
    expect(server.connections).toBe(0)
    expect(await statuses()).toEqual(['queued'])
  })
})

describe('a message that can not be sent yet', () => {
  it('waits for its PDF', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma, { isRendered: false })
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    await runEnds(1)
    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'pdf_missing' } } },
    ])
    expect(await work()).toMatchObject([{ attempt: 2 }])

    await database.prisma.invoicePdf.updateMany({ data: { pdf: Uint8Array.from(email.pdf) } })
    await hurriedUntil(allAre('sent'))

    expect(server.messages).toHaveLength(1)
  })

  it('waits for whoever has changed its invoice to move it to the new version', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    await database.prisma.invoice.updateMany({ data: { version: 2 } })
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    await runEnds(1)
    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'invoice_changed' } } },
    ])

    await database.prisma.invoicePdf.updateMany({ data: { version: 2 } })
    await database.prisma.emailMessage.updateMany({ data: { version: 2 } })
    await hurriedUntil(allAre('sent'))
    expect(server.messages).toHaveLength(1)
  })

  it('is given up when it had failed, and its invoice has changed since', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    await database.prisma.emailMessage.updateMany({ data: { status: 'failed' } })
    await database.prisma.invoice.updateMany({ data: { version: 2 } })
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])

    await waitFor(async () => (await message(email)).errorCode !== null)

    expect(await message(email)).toMatchObject({ status: 'failed', errorCode: 'invoice_changed' })
    expect(server.connections).toBe(0)
  })

  it('is a dead letter when it does not exist any more', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    await database.prisma.invoice.deleteMany()
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])

    await waitFor(async () => (await deadLetters()).length === 1)

    expect(await deadLetters()).toMatchObject([{ attempts: 1, error: { code: 'email_missing' } }])
  })
})

describe('a refusal for good', () => {
  it('is not tried again, and shows', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    // Real servers quote the address.
    server.react(refuseAt('rcpt', 550, `5.1.1 <${email.recipient}> is no more`))
    const { lines } = await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])

    await waitFor(async () => (await deadLetters()).length === 1)

    expect(await message(email)).toMatchObject({
      status: 'failed',
      errorCode: 'smtp_refused 550 5.1.1',
      sentAt: null,
    })
    expect(await runs()).toMatchObject([
      {
        status: 'failed',
        attempt: 1,
        details: { failed: 1, smtpStatus: '550 5.1.1', error: { code: 'smtp_refused' } },
      },
    ])
    expect(await deadLetters()).toMatchObject([{ attempts: 1, error: { code: 'smtp_refused' } }])
    await expectNothingPersonal(database, [email], lines)
  })
})

describe('what may pass', () => {
  const answered = (smtpStatus: string) => ({ smtpStatus })
  const met = (smtpError: string) => ({ smtpError })
  it.each<[what: string, react: (moment: SmtpMoment) => SmtpReaction | undefined, details: object]>(
    [
      ['450 to RCPT, a greylist', refuseAt('rcpt', 450, '4.2.1 Later'), answered('450 4.2.1')],
      ['a connection that ends before the OK', at('data', { kind: 'drop' }), met('ECONNECTION')],
      ['no answer to the message', at('data', { kind: 'hang' }), met('ETIMEDOUT')],
    ],
  )('%s: the next attempt sends it', async (_what, react, details) => {
    const server = await openServer()
    server.react(react)
    const email = await insertEmail(database.prisma)
    const { lines } = await startMailWorker(database, {
      smtpUrl: server.url,
      timeouts: { connectMs: 1_000, answerMs: 1_000 },
    })
    await enqueueEmails([email])
    await runEnds(1)
    server.react()

    expect(await message(email)).toMatchObject({ status: 'queued', errorCode: null })
    expect(await runs()).toMatchObject([
      { status: 'failed', details: { ...details, error: { code: 'smtp_unavailable' } } },
    ])
    await hurriedUntil(allAre('sent'))

    expect(server.messages.map(({ mail }) => mail.messageId)).toEqual([email.messageId])
    await runEnds(2)
    expect((await runs()).map(({ attempt, status }) => ({ attempt, status }))).toEqual([
      { attempt: 1, status: 'failed' },
      { attempt: 2, status: 'success' },
    ])
    await expectNothingPersonal(database, [email], lines)
  })

  it('has failed only after its very last attempt, and waits again once redriven', async () => {
    const server = await openServer()
    server.react(refuseAt('data', 451, '4.3.0 Later'))
    const email = await insertEmail(database.prisma)
    const { limit } = dispatchEmail.retry
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    await runEnds(1)
    await database.prisma
      .$executeRaw`update "JobWork" set "attempt" = ${limit}, "failures" = ${limit - 1}, "dueAt" = now() where "attempt" > 1`
    await runEnds(2)
    expect(await lastRun()).toMatchObject({ attempt: limit, status: 'failed' })
    expect(await message(email)).toMatchObject({ status: 'queued', errorCode: null })

    await hurriedUntil(allAre('failed'))
    expect(await lastRun()).toMatchObject({ attempt: limit + 1 })
    await waitFor(async () => (await deadLetters()).length === 1)

    await redrive()
    await runEnds(4)
    expect(await lastRun()).toMatchObject({
      attempt: limit + 2,
      errorCode: 'smtp_unavailable',
    })
    expect(await work()).toMatchObject([{ attempt: limit + 3 }])
    expect(await message(email)).toMatchObject({ status: 'queued', errorCode: null })
  })

  it('that was sent meanwhile stays sent, whatever this attempt meets', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    server.react(refuseAt('rcpt', 550, '5.1.1 Nobody'))
    const sentAt = new Date()
    // Nobody sees it before the commit.
    const commit = await holdTransaction(database.prisma, (tx) =>
      tx.emailMessage.updateMany({ data: { status: 'sent', sentAt } }),
    )
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    await waitFor(
      async () =>
        (
          await database.prisma.$queryRaw<unknown[]>`
            select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%EmailMessage%'`
        ).length > 0,
      { message: 'Changing the message' },
    )
    await commit()

    await waitFor(async () => (await deadLetters()).length === 1)
    expect(await message(email)).toMatchObject({ status: 'sent', sentAt, errorCode: null })
    await redrive()
    await waitFor(async () => (await work()).length === 0)
    expect(server.messages).toEqual([])
  })

  it('whatever comes together: nothing is lost, and nothing acknowledged is sent again', async () => {
    const server = await openServer()
    const emails = await insertEmails(database.prisma, 60)
    const plan = planTroubles(emails, 11)
    server.react(plan.react)
    const { lines } = await startMailWorker(database, {
      smtpUrl: server.url,
      timeouts: { connectMs: 5_000, answerMs: 5_000 },
    })
    await enqueueEmails(emails)

    await hurriedUntil(async () => (await statuses()).every((status) => status !== 'queued'))

    const all = await database.prisma.emailMessage.findMany()
    for (const email of emails) {
      const arrived = server.messages.filter(({ recipients }) => recipients[0] === email.recipient)
      const status = all.find(({ id }) => id === email.id)?.status
      const { lostAcknowledgements, isRefused } = plan.of(email)
      expect({
        status,
        acknowledged: arrived.filter(({ isAcknowledged }) => isAcknowledged).length,
        others: arrived.filter(({ isAcknowledged }) => !isAcknowledged).length,
      }).toEqual({
        status: isRefused ? 'failed' : 'sent',
        acknowledged: isRefused ? 0 : 1,
        others: lostAcknowledgements,
      })
      expect(arrived.every(({ mail }) => mail.messageId === email.messageId)).toBe(true)
      expect(arrived.every(({ mail }) => mail.attachments[0]?.content.equals(email.pdf))).toBe(true)
    }
    await expectNothingPersonal(database, emails, lines)
  })
})

describe('between the OK and the commit', () => {
  it('a database that refuses for a moment is waited for, and nothing is sent again', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    const { prisma } = database
    // A sequence keeps its count when a transaction is rolled back.
    await prisma.$executeRaw`create sequence refusals`
    await prisma.$executeRawUnsafe(`
      create function refuse_thrice() returns trigger language plpgsql as $$
      begin
        if nextval('refusals') <= 3 then raise exception 'not now'; end if;
        return new;
      end $$`)
    await prisma.$executeRawUnsafe(
      'create trigger refuse_thrice before update on "EmailMessage" for each row execute function refuse_thrice()',
    )
    onTestFinished(async () => {
      await prisma.$executeRawUnsafe('drop function refuse_thrice cascade')
      await prisma.$executeRaw`drop sequence refusals`
    })
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])

    await waitFor(allAre('sent'))

    await runEnds(1)
    expect(await runs()).toMatchObject([{ status: 'success', details: { sent: 1, batches: 1 } }])
    expect(server.messages).toHaveLength(1)
  })

  it('a worker that has lost its run meanwhile still tells that it was sent', async () => {
    const server = await openServer()
    const email = await insertEmail(database.prisma)
    const asked = Promise.withResolvers<void>()
    server.react(({ stage }) => {
      if (stage !== 'data') return undefined
      asked.resolve()
      return { kind: 'accept', delayMs: 250 }
    })
    await startMailWorker(database, { smtpUrl: server.url })
    await enqueueEmails([email])
    // Before, the worker would not send it.
    await asked.promise
    // As the rescue of another worker would do.
    const ended = await database.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "workId", "workerId", "startedAt", "endedAt", "errorCode")
      select "id", "name", 'failed', "trigger", "workId", "workerId", "startedAt", now(), 'worker_lost'
      from "JobRunAll" where "status" = 'running'`
    expect(ended).toBe(1)

    await waitFor(allAre('sent'))

    expect(await runs()).toMatchObject([{ status: 'failed' }])
    expect((await runs())[0]?.details).not.toMatchObject({ sent: 1 })
  })
})

it('a drain ends the connection to a server that does not answer, and gives the message back', async () => {
  const server = await openServer()
  const asked = Promise.withResolvers<void>()
  server.react(({ stage }) => {
    if (stage !== 'rcpt') return undefined
    asked.resolve()
    return { kind: 'hang' }
  })
  const email = await insertEmail(database.prisma)
  const { worker } = await startMailWorker(database, { smtpUrl: server.url })
  await enqueueEmails([email])
  await asked.promise

  await worker.stop({ drainTimeoutMs: 0 })

  expect(await runs()).toMatchObject([{ details: { error: { code: 'drained' } } }])
  await waitFor(() => server.open === 0)
  server.react()
  await startMailWorker(database, { smtpUrl: server.url })
  await waitFor(allAre('sent'))
  expect(server.messages).toHaveLength(1)
})

describe('without SMTP_URL', () => {
  it('a worker leaves the mail alone, says what to do, and one that has a server sends it', async () => {
    const email = await insertEmail(database.prisma)
    await enqueueEmails([email])
    const without = await startWorkerHere(database, { SMTP_URL: undefined })
    expect(await without.waitForMessage('no mail server is set: mail waits')).toMatchObject({
      level: 40,
      remedy: 'set SMTP_URL',
    })
    await without.waitForMessage('Jobs scheduler enabled')
    const server = await openServer()
    const having = await startWorkerHere(database, { SMTP_URL: server.url })

    await waitFor(allAre('sent'))

    expect(having.messages('no mail server is set: mail waits')).toEqual([])
    expect(without.messages('job run started')).toEqual([])
    expect(await statuses()).toEqual(['sent'])
  })

  it('worker:once fails, and tells what is missing', async () => {
    const email = await insertEmail(database.prisma)
    const once = spawnOnce(['--payload', payload(email), '--json'], { SMTP_URL: undefined })

    expect(await once.exited).toMatchObject({ code: 1 })

    expect(JSON.parse(once.stdout.join(''))).toMatchObject({
      status: 'failed',
      details: { error: { code: 'smtp_missing', message: 'SMTP_URL is not set' } },
    })
    expect(await statuses()).toEqual(['queued'])
  })
})

function spawnOnce(args: string[], extra: Record<string, string | undefined>) {
  return spawnProcess(CLI, {
    args: ['once', dispatchEmail.name, ...args],
    env: workerEnvironment(database, extra),
  })
}

function payload({ id }: InsertedEmail): string {
  return JSON.stringify({ emailId: id })
}

function at(stage: SmtpMoment['stage'], reaction: SmtpReaction) {
  return (moment: SmtpMoment) => (moment.stage === stage ? reaction : undefined)
}

function refuseAt(stage: SmtpMoment['stage'], code: number, text: string) {
  return ({ stage: current, recipient }: SmtpMoment): SmtpReaction | undefined =>
    // Real servers quote the address.
    current === stage ? { kind: 'refuse', code, text: `${text} <${recipient}>` } : undefined
}

/**
 * Up to three troubles for each message, in an order drawn by the seed; then the server takes it, or refuses it for
 * good.
 */
function planTroubles(emails: InsertedEmail[], seed: number) {
  const random = createRandom(seed)
  const troubles: (() => [SmtpMoment['stage'], SmtpReaction])[] = [
    () => ['rcpt', { kind: 'refuse', code: 450, text: '4.2.1 Later' }],
    () => ['data', { kind: 'refuse', code: 451, text: '4.3.0 Later' }],
    () => ['rcpt', { kind: 'refuse', code: 421, text: '4.3.2 Closing' }],
    () => ['rcpt', { kind: 'drop' }],
    () => ['data', { kind: 'drop' }],
    () => ['data', { kind: 'keepAndDrop' }],
    () => ['data', { kind: 'accept', delayMs: 1 + Math.floor(random() * 50) }],
  ]
  const plans = new Map(
    emails.map(({ recipient }) => {
      const queue = Array.from({ length: Math.floor(random() * 4) }, () =>
        troubles[Math.floor(random() * troubles.length)]!(),
      )
      const accepted = queue.findIndex(([, { kind }]) => kind === 'accept')
      const reached = accepted === -1 ? queue : queue.slice(0, accepted + 1)
      const isRefused = accepted === -1 && random() < 0.15
      if (isRefused) reached.push(['rcpt', { kind: 'refuse', code: 550, text: '5.1.1 Nobody' }])
      const lostAcknowledgements = reached.filter(([, { kind }]) => kind === 'keepAndDrop').length
      return [recipient, { queue: reached, lostAcknowledgements, isRefused }]
    }),
  )
  return {
    of: ({ recipient }: InsertedEmail) => plans.get(recipient)!,
    react: ({ stage, recipient }: SmtpMoment): SmtpReaction | undefined => {
      const queue = plans.get(recipient)?.queue
      const [next] = queue ?? []
      if (next?.[0] !== stage) return undefined
      queue!.shift()
      return next[1]
    },
  }
}

/** mulberry32 */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
