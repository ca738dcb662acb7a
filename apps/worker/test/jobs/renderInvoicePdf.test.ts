// Not quick: starts processes.
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { dispatchEmail, renderInvoicePdf as job } from '@roundsman/jobs'
import { createJobsClient, getWork, type JobsClient } from '@roundsman/engine/client'
import { createWorker, type Worker } from '@roundsman/engine/worker'
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  createInvoiceRenderer,
  type InvoiceRenderer,
} from '../../src/invoicePdf/createInvoiceRenderer.ts'
import { renderInvoicePdf } from '../../src/jobs/renderInvoicePdf.ts'

const lines: string[] = []
const log = pino({ level: 'debug' }, { write: (line) => void lines.push(line) })
const seller = { name: 'Example Company', address: ['1 Example Street'] }
const jobs = [job, dispatchEmail] as const
const CUSTOMER = 'Großhandel Müßig & Söhne'

let database: TestDatabase
let prisma: PrismaClient
let client: JobsClient
let renderer: InvoiceRenderer
let worker: Worker | undefined
/** Called while an invoice is being set. */
let meanwhile: () => Promise<void>
let renders: number

beforeAll(async () => {
  database = await createTestDatabase()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'test',
    onPoolError: () => undefined,
  })
  client = createJobsClient({ schema: 'public', databaseUrl: database.url, log })
  await client.start()
  renderer = createInvoiceRenderer()
})

afterAll(async () => {
  await renderer.close()
  await client.stop()
  await prisma.$disconnect()
  await database.drop()
})

beforeEach(async () => {
  await prisma.$executeRaw`truncate "Invoice", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique" cascade`
  lines.length = 0
  renders = 0
  meanwhile = async () => undefined
})

afterEach(async () => {
  await worker?.stop({ drainTimeoutMs: 0 })
  worker = undefined
})

async function startWorker(issuer: typeof seller | null = seller): Promise<void> {
  const rendering: Pick<InvoiceRenderer, 'render'> = {
    async render(document, signal) {
      renders++
      const rendered = await renderer.render(document, signal)
      await meanwhile()
      return rendered
    },
  }
  worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: database.url,
    client: prisma,
    jobs,
    handlers: {
      renderInvoicePdf: renderInvoicePdf({ prisma, renderer: rendering, seller: issuer }),
      dispatchEmail: async () => undefined,
    },
    except: [dispatchEmail.name],
    log,
  })
  await worker.start()
}

const createInvoice = () =>
  prisma.invoice.create({
    data: {
      number: '2026-000042',
      locale: 'de-DE',
      currency: 'EUR',
      issuedOn: new Date('2026-11-24'),
      dueOn: new Date('2026-12-08'),
      customerName: CUSTOMER,
      customerAddress: ['1 Example Street'],
      netMinor: 10_000n,
      taxMinor: 1_900n,
      grossMinor: 11_900n,
      lines: {
        create: {
          position: 1,
          description: 'Beratung',
          quantityMilli: 1_000,
          unitPriceMinor: 10_000n,
          taxRateBasisPoints: 1_900,
          netMinor: 10_000n,
        },
      },
    },
  })

/** Does what the API does when somebody asks for a PDF. */
const ask = (invoiceId: string, version = 1) =>
  prisma.$transaction(async (tx) => {
    const { workId } = await client.enqueue(
      tx,
      job,
      { invoiceId, version },
      { uniqueKey: `${invoiceId}:${version}` },
    )
    await tx.invoicePdf.upsert({
      where: { invoiceId_version: { invoiceId, version } },
      create: { invoiceId, version, workId },
      update: { workId },
    })
    return workId
  })

const isDone = (workId: string) =>
  waitFor(async () => {
    const work = await getWork(client.reader, job, workId)
    return (work?.kind === 'completed' || work?.kind === 'failed') && work
  })

const addEmail = (invoiceId: string, status: 'queued' | 'sent' = 'queued', version = 1) =>
  prisma.emailMessage.create({
    data: {
      kind: 'invoice',
      status,
      recipient: 'somebody@example.com',
      invoiceId,
      version,
      messageId: `<${crypto.randomUUID()}@example.com>`,
    },
  })

const emailJobs = () =>
  prisma.$queryRaw<{ emailId: string }[]>`
    select "payload" ->> 'emailId' as "emailId" from "JobWork" where "name" = 'dispatchEmail'`

describe('renderInvoicePdf', () => {
  it('stores the PDF with its pages, and counts it', async () => {
    const { id } = await createInvoice()
    await startWorker()
    await isDone(await ask(id))

    const [pdf] = await prisma.invoicePdf.findMany()
    expect(Buffer.from(pdf?.pdf ?? []).toString('latin1')).toMatch(/^%PDF-/)
    expect(pdf).toMatchObject({ pages: 1, renderedAt: expect.any(Date) })
    expect(await prisma.jobRun.findMany()).toMatchObject([
      { status: 'success', details: { rendered: 1, pages: 1, batches: 1 } },
    ])
  })

  it('asked twice at once, renders once', async () => {
    const { id } = await createInvoice()
    const ids = await Promise.all(Array.from({ length: 10 }, () => ask(id)))
    await startWorker()
    await isDone(ids[0]!)

    expect(new Set(ids).size).toBe(1)
    expect(renders).toBe(1)
  })

  it('sets the messages going that wait for it, and no other', async () => {
    const invoice = await createInvoice()
    const waiting = [await addEmail(invoice.id), await addEmail(invoice.id)]
    await addEmail(invoice.id, 'sent')
    await addEmail(invoice.id, 'queued', 2)
    await startWorker()
    await isDone(await ask(invoice.id))

    expect((await emailJobs()).map(({ emailId }) => emailId).toSorted()).toEqual(
      waiting.map(({ id }) => id).toSorted(),
    )
  })

  it('renders nothing of a version that is not the current one', async () => {
    const { id } = await createInvoice()
    await prisma.invoice.update({ where: { id }, data: { version: 2 } })
    await startWorker()
    await isDone(await ask(id, 1))

    expect(renders).toBe(0)
    expect(await prisma.jobRun.findMany()).toMatchObject([
      { status: 'success', details: { isOutdated: true } },
    ])
  })

  it('stores nothing of an invoice that was changed while it was set', async () => {
    const { id } = await createInvoice()
    await addEmail(id)
    meanwhile = async () => {
      await prisma.invoice.update({ where: { id }, data: { version: 2 } })
    }
    await startWorker()
    await isDone(await ask(id))

    expect(renders).toBe(1)
    expect(await prisma.invoicePdf.findMany()).toMatchObject([{ version: 1, pdf: null }])
    expect(await emailJobs()).toEqual([])
  })

  it('an invoice that is gone is given up at once', async () => {
    const { id } = await createInvoice()
    const workId = await ask(id)
    await prisma.invoice.delete({ where: { id } })
    await startWorker()

    expect(await isDone(workId)).toEqual({ kind: 'failed', errorCode: 'invoice_missing' })
    expect(await prisma.jobRun.count()).toBe(1)
  })

  it('without an issuer it fails, and is tried again', async () => {
    const { id } = await createInvoice()
    await startWorker(null)
    const workId = await ask(id)
    await waitFor(async () => (await prisma.jobRun.findFirst())?.status === 'failed')

    expect(await getWork(client.reader, job, workId)).toMatchObject({ kind: 'waiting' })
    expect(await prisma.jobRun.findMany()).toMatchObject([
      { details: { error: { code: 'seller_missing' } } },
    ])
  })

  it('leaves nothing personal in the log or in its run', async () => {
    const { id } = await createInvoice()
    await startWorker()
    await isDone(await ask(id))

    const seen = lines.join('') + JSON.stringify(await prisma.jobRun.findMany())
    expect(seen).toContain('job run finished')
    for (const secret of [CUSTOMER, 'Beratung', '1 Example Street'])
      expect(seen).not.toContain(secret)
  })
})
