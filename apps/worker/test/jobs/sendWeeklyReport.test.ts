// Not quick: starts workers.
import { dispatchEmail, sendWeeklyReport as job } from '@roundsman/jobs'
import { createJobsClient } from '@roundsman/engine/client'
import { createWorker } from '@roundsman/engine/worker'
import { openForTests, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { sendWeeklyReport } from '../../src/jobs/sendWeeklyReport.ts'
import { openWorkerDatabase } from '../openWorkerDatabase.ts'

const CUSTOMER = 'accounts@example.com'
const DAY_MS = 86_400_000
/** When the reports are written, so that midnight does not come between two. */
const NOON = new Date('2026-11-24T12:00:00Z')
const write = () => {
  const handle = sendWeeklyReport({ from: { name: '', address: 'billing@example.com' } })
  return (context: Parameters<typeof handle>[0]) => handle({ ...context, now: () => NOON })
}
const lines: string[] = []
const log = pino({ level: 'debug' }, { write: (line) => void lines.push(line) })

const database = openForTests(openWorkerDatabase)
const client = openForTests(async () => {
  const opened = createJobsClient({ schema: 'public', databaseUrl: database.url, log })
  await opened.start()
  return { ...opened, close: opened.stop }
})

beforeEach(async () => {
  lines.length = 0
  await database.prisma
    .$executeRaw`truncate "Invoice", "EmailMessage", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique", "JobSchedule", "JobTick" cascade`
})

/** Starts a worker that writes reports. By default it leaves their mail in the queue. */
async function startWorker({ sends = false } = {}) {
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: database.url,
    client: database.prisma,
    jobs: [job, dispatchEmail],
    handlers: {
      sendWeeklyReport: write(),
      dispatchEmail: async () => undefined,
    },
    except: sends ? [] : [dispatchEmail.name],
    log,
  })
  onTestFinished(() => worker.stop({ drainTimeoutMs: 0 }))
  await worker.start()
}

let made = 0

/** Invoices a customer so many days ago. */
async function invoice(daysAgo: number, more: object = {}): Promise<void> {
  await database.prisma.invoice.create({
    data: {
      number: `R-${++made}`,
      locale: 'de-DE',
      currency: 'EUR',
      issuedOn: new Date('2026-11-24'),
      dueOn: new Date('2026-12-08'),
      customerName: 'Example Ltd',
      customerAddress: [],
      customerEmail: CUSTOMER,
      netMinor: 10_000n,
      taxMinor: 1_900n,
      grossMinor: 11_900n,
      createdAt: new Date(NOON.getTime() - daysAgo * DAY_MS),
      ...more,
    },
  })
}

const ask = () =>
  database.prisma.$transaction((tx) => client.enqueue(tx, job, { customerEmail: CUSTOMER }))

const runs = (count: number) =>
  waitFor(async () => {
    const found = await database.prisma.jobRun.findMany({
      where: { name: job.name, status: { not: 'running' } },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    })
    return found.length >= count && found
  })

const messages = () => database.prisma.emailMessage.findMany()
const mails = () =>
  database.prisma.$queryRaw<{ emailId: string }[]>`
    select "payload" ->> 'emailId' as "emailId" from "JobWork" where "name" = 'dispatchEmail'`

describe('sendWeeklyReport', () => {
  it('ends once its message is sent', async () => {
    await invoice(2)
    await startWorker({ sends: true })
    const { workId } = await ask()
    await waitFor(async () => (await client.explain(workId))?.state === 'completed')

    expect(await client.steps(workId)).toMatchObject([
      { name: 'write', kind: 'tx', state: 'done' },
      { name: 'send', kind: 'invoke', state: 'done', children: { count: 1, failed: 0, left: 0 } },
    ])
  })

  it('writes what the customer was invoiced within the week, and enqueues its sending', async () => {
    await invoice(2)
    await invoice(3, { currency: 'JPY', grossMinor: 180_000n })
    await invoice(8)
    await invoice(1, { customerEmail: 'other@example.com' })
    await startWorker()
    await ask()

    expect(await runs(1)).toMatchObject([
      { status: 'suspended', details: { reports: 1, invoices: 2, batches: 1 } },
    ])
    const [message] = await messages()
    expect(message).toMatchObject({ kind: 'report', status: 'queued', recipient: CUSTOMER })
    expect(message?.text).toMatch(/R-\d+: €119\.00, due on 8 December 2026/)
    expect(message?.text).toContain('Total in EUR: €119.00')
    expect(message?.text).toContain('Total in JPY: ¥180,000')
    expect(await mails()).toEqual([{ emailId: message?.id }])
  })

  it('lists the first 50 invoices, says how many more there are, and adds up all', async () => {
    for (let n = 0; n < 52; n++) await invoice(1)
    await startWorker()
    await ask()
    await runs(1)

    const [message] = await messages()
    expect(message?.text?.match(/due on/g)).toHaveLength(50)
    expect(message?.text).toContain('and 2 more')
    expect(message?.text).toContain('Total in EUR: €6,188.00')
  })

  it('writes nothing after a week without an invoice', async () => {
    await invoice(8)
    await startWorker()
    await ask()

    expect(await runs(1)).toMatchObject([{ status: 'success', details: {} }])
    expect(await messages()).toEqual([])
  })

  it('run twice, writes one report a day', async () => {
    await invoice(2)
    await startWorker()
    await ask()
    await runs(1)
    await ask()

    expect(await runs(2)).toMatchObject([{ details: { reports: 1 } }, { details: { reports: 0 } }])
    expect(await messages()).toHaveLength(1)
    expect(await mails()).toHaveLength(1)
  })

  it('of a schedule, begins where the report before has ended, by the clocks of its zone', async () => {
    await invoice(10)
    await startWorker()
    const last = new Date(NOON.getTime() - 14 * DAY_MS)
    await client.schedules.upsert(null, job, {
      key: 'customer-1',
      cron: '0 9 * * 1',
      timeZone: 'Pacific/Kiritimati',
      payload: { customerEmail: CUSTOMER },
    })
    await database.prisma.$executeRaw`update "JobSchedule" set "lastAt" = ${last}`
    await client.schedules.trigger(null, job, 'customer-1', {
      actor: 'tests',
      reason: 'To see it',
    })

    expect(await runs(1)).toMatchObject([{ details: { reports: 1, invoices: 1 } }])
    const day = (at: Date) =>
      at.toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'Pacific/Kiritimati' })
    expect((await messages())[0]?.subject).toContain(`from ${day(last)} to `)
  })

  it('two workers write one report', async () => {
    await invoice(2)
    await Promise.all([ask(), ask(), ask(), ask()])
    await Promise.all([startWorker(), startWorker()])

    expect(await runs(4)).toHaveLength(4)
    expect(await messages()).toHaveLength(1)
    expect(await mails()).toHaveLength(1)
  })

  it('leaves nothing personal in the log or in its run', async () => {
    await invoice(2)
    await startWorker()
    await ask()
    const ended = await runs(1)
    await waitFor(() => lines.join('').includes('job run suspended'))

    const seen = lines.join('') + JSON.stringify(ended)
    for (const secret of [CUSTOMER, 'Example Ltd']) expect(seen).not.toContain(secret)
  })
})
