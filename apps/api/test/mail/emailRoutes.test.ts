import { dispatchEmail } from '@roundsman/jobs'
import {
  emptyQueue,
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  setWork,
  UNKNOWN_ID,
  waitFor,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'
import { createInvoice, emptyInvoices, invoiceBody, markRendered } from '../invoices.ts'

const api = openForTests(createTestApi)

beforeEach(async () => {
  await emptyInvoices(api.prisma)
})

const send = (id: string, payload: object | undefined = {}) =>
  api.as('staff', { method: 'POST', url: `/api/invoices/${id}/email`, payload })
const ask = (id: string) => api.as('staff', { method: 'POST', url: `/api/invoices/${id}/pdf` })
const show = (id: string) => api.as('staff', { method: 'GET', url: `/api/emails/${id}` })
const change = (id: string, version: number) =>
  api.as('staff', { method: 'PUT', url: `/api/invoices/${id}`, payload: invoiceBody({ version }) })

const customer = { name: 'Example GmbH', address: [], email: 'billing@example.com' }

async function readyInvoice() {
  const invoice = await createInvoice(api, { customer })
  await ask(invoice.id)
  await markRendered(api.prisma, invoice)
  await emptyQueue(api.prisma)
  return invoice
}

describe('POST /api/invoices/:id/email', () => {
  it('sets a message going at once when its PDF is ready', async () => {
    const { id } = await readyInvoice()
    const response = await send(id)
    expect(response.statusCode).toBe(202)
    const { messageId } = response.json()
    expect(response.json()).toEqual({ messageId, statusUrl: `/api/emails/${messageId}` })
    expect(await api.prisma.emailMessage.findMany()).toEqual([
      {
        id: messageId,
        kind: 'invoice',
        subject: null,
        text: null,
        status: 'queued',
        recipient: 'billing@example.com',
        invoiceId: id,
        version: 1,
        messageId: expect.stringMatching(/^<[0-9a-f-]{36}@mail\.example\.com>$/),
        errorCode: null,
        sentAt: null,
        createdAt: api.clock.now(),
      },
    ])
    expect(await listQueue(api.prisma)).toMatchObject([
      {
        name: 'dispatchEmail',
        state: 'created',
        data: { payload: { emailId: messageId }, trigger: 'queue' },
      },
    ])
    const [work] = await api.prisma.$queryRaw<{ key: string }[]>`
      select "uniqueKey" as key from "JobWork"`
    expect(work?.key).toBe(messageId)
  })

  it('asks for the PDF where it is missing, and leaves the message to whoever renders it', async () => {
    const { id } = await createInvoice(api, { customer })
    const first: string = (await send(id)).json().messageId
    const second: string = (await send(id, { to: 'other@example.com' })).json().messageId
    expect(await listQueue(api.prisma)).toMatchObject([
      { name: 'renderInvoicePdf', data: { payload: { invoiceId: id, version: 1 } } },
    ])
    expect(await api.prisma.invoicePdf.count()).toBe(1)
    const messages = await api.prisma.emailMessage.findMany({ orderBy: { recipient: 'asc' } })
    expect(messages).toMatchObject([
      { id: first, recipient: 'billing@example.com', status: 'queued', version: 1 },
      { id: second, recipient: 'other@example.com', status: 'queued', version: 1 },
    ])
    expect(messages[0]?.messageId).not.toBe(messages[1]?.messageId)
  })

  it('takes an address, or the customer’s, and needs one of them', async () => {
    const { id } = await createInvoice(api)
    const response = await send(id)
    expectInvalid(response, ['body.to'])
    expect(response.json().errors[0].message).toContain('give an address')
    const bare = await api.as('staff', { method: 'POST', url: `/api/invoices/${id}/email` })
    expectInvalid(bare, ['body.to'])
    expect(await api.prisma.emailMessage.count()).toBe(0)
    expect(await listQueue(api.prisma)).toEqual([])

    expect((await send(id, { to: 'a@example.com' })).statusCode).toBe(202)
    const named = await createInvoice(api, { customer })
    const url = `/api/invoices/${named.id}/email`
    expect((await api.as('staff', { method: 'POST', url })).statusCode).toBe(202)
  })

  const cases: [what: string, payload: object, paths: string[]][] = [
    ['no address', { to: 'nobody' }, ['body.to']],
    ['an empty one', { to: '' }, ['body.to']],
    ['several', { to: 'a@example.com, b@example.com' }, ['body.to']],
    ['a list', { to: ['a@example.com'] }, ['body.to']],
    ['one with a name', { to: 'A <a@example.com>' }, ['body.to']],
    ['one with another header', { to: 'a@example.com\r\nBcc: b@example.com' }, ['body.to']],
    ['a long one', { to: `${'x'.repeat(250)}@example.com` }, ['body.to']],
    ['null', { to: null }, ['body.to']],
    ['something else as well', { to: 'a@example.com', cc: 'b@example.com' }, ['body.cc']],
    ['a body that is a list', [], ['body']],
  ]
  for (const [what, payload, paths] of cases) {
    it(`refuses ${what}`, async () => {
      const { id } = await createInvoice(api, { customer })
      expectInvalid(await send(id, payload), paths)
      expect(await api.prisma.emailMessage.count()).toBe(0)
    })
  }

  it('does not know an invoice that never was', async () => {
    expectProblem(await send(UNKNOWN_ID, { to: 'a@example.com' }), 404)
    expectInvalid(await send('1'), ['params.id'])
  })

  it('is set going also when its PDF gets ready in the same moment', async () => {
    const invoice = await createInvoice(api, { customer })
    const { id, version } = invoice
    await ask(id)
    // As the worker does: it locks the invoice, stores the PDF, and looks who waits for it.
    const holding = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const rendering = api.prisma.$transaction(async (tx) => {
      await tx.$queryRaw`select 1 as "one" from "Invoice" where "id" = ${id}::uuid for share`
      await tx.invoicePdf.updateMany({
        where: { invoiceId: id, version },
        data: { pdf: Buffer.from('%PDF'), pages: 1, renderedAt: new Date() },
      })
      const waiting = await tx.emailMessage.count({ where: { invoiceId: id, version } })
      holding.resolve()
      await release.promise
      return waiting
    })
    await holding.promise
    const sending = send(id)
    await untilSomebodyWaits()
    release.resolve()
    // The worker found no message, so the message's request must have found the PDF.
    expect(await rendering).toBe(0)
    const { messageId } = (await sending).json()
    expect(await listQueue(api.prisma)).toContainEqual(
      expect.objectContaining({
        name: 'dispatchEmail',
        data: expect.objectContaining({ payload: { emailId: messageId } }),
      }),
    )
  })
})

/** Waits until a transaction waits for another one's row. */
async function untilSomebodyWaits(): Promise<void> {
  await waitFor(async () => {
    const [row] = await api.prisma.$queryRaw<{ waiting: number }[]>`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    return row!.waiting > 0
  })
}

describe('a change while a message is queued', () => {
  it('moves the message to the new version and asks for its PDF', async () => {
    for (const isReady of [false, true]) {
      const invoice = isReady ? await readyInvoice() : await createInvoice(api, { customer })
      const { id } = invoice
      const { messageId } = (await send(id)).json()
      expect((await change(id, 1)).json()).toMatchObject({ version: 2, pdf: 'waiting' })
      expect((await change(id, 2)).json()).toMatchObject({ version: 3, pdf: 'waiting' })
      expect(await api.prisma.emailMessage.findUnique({ where: { id: messageId } })).toMatchObject({
        status: 'queued',
        version: 3,
        recipient: 'billing@example.com',
      })
      const payloads = (await listQueue(api.prisma)).map(({ data }) => data['payload'])
      expect(payloads).toContainEqual({ invoiceId: id, version: 3 })
    }
  })

  it('leaves those that were sent or have failed, and those of other invoices', async () => {
    const { id } = await readyInvoice()
    const other = await createInvoice(api, { customer })
    const waiting: string = (await send(other.id)).json().messageId
    const sent: string = (await send(id)).json().messageId
    const failed: string = (await send(id)).json().messageId
    const { prisma } = api
    const sentAt = new Date()
    await prisma.emailMessage.update({ where: { id: sent }, data: { status: 'sent', sentAt } })
    await prisma.emailMessage.update({ where: { id: failed }, data: { status: 'failed' } })
    const before = await prisma.emailMessage.findMany({ orderBy: { id: 'asc' } })
    expect((await change(id, 1)).json()).toMatchObject({ version: 2, pdf: 'none' })
    expect(await prisma.emailMessage.findMany({ orderBy: { id: 'asc' } })).toEqual(before)
    expect(before.map((message) => message.id)).toContain(waiting)
  })
})

describe('GET /api/emails/:id', () => {
  it('says what became of a message', async () => {
    const { id } = await createInvoice(api, { customer })
    const { messageId, statusUrl } = (await send(id)).json()
    const shown = {
      id: messageId,
      status: 'queued',
      kind: 'invoice',
      invoiceId: id,
      recipient: 'billing@example.com',
      errorCode: null,
      sentAt: null,
      createdAt: '2026-11-24T09:00:00.000Z',
    }
    const response = await api.as('staff', { method: 'GET', url: statusUrl })
    expect([response.statusCode, response.json()]).toEqual([200, shown])

    const sentAt = new Date('2026-11-24T09:00:05.250Z')
    const where = { id: messageId as string }
    await api.prisma.emailMessage.update({ where, data: { status: 'sent', sentAt } })
    expect((await show(messageId)).json()).toEqual({
      ...shown,
      status: 'sent',
      sentAt: '2026-11-24T09:00:05.250Z',
    })
    const data = { status: 'failed', sentAt: null, errorCode: 'smtp_550' } as const
    await api.prisma.emailMessage.update({ where, data })
    expect((await show(messageId)).json()).toEqual({
      ...shown,
      status: 'failed',
      errorCode: 'smtp_550',
    })
  })

  describe('while its row says queued', () => {
    const workOf = async (name: string) =>
      (await listQueue(api.prisma)).find((work) => work.name === name)!.id
    const shown = async (messageId: string) => {
      const { status, errorCode } = (await show(messageId)).json()
      return [status, errorCode]
    }
    const waiting = async () => {
      const { messageId } = (await send((await readyInvoice()).id)).json()
      return { messageId, workId: await workOf('dispatchEmail') }
    }

    it.each(['created', 'retry', 'active'] as const)('waits as its work is %s', async (state) => {
      const { messageId, workId } = await waiting()
      await setWork(api.prisma, workId, state)
      expect(await shown(messageId)).toEqual(['queued', null])
    })

    it.each(['worker_lost', 'timeout', 'cancelled', null])(
      'has failed when its last attempt ended with %s, and waits again once redriven',
      async (code) => {
        const { messageId, workId } = await waiting()
        await setWork(api.prisma, workId, 'failed', code === null ? null : { code, message: '' })
        expect(await shown(messageId)).toEqual(['failed', code ?? 'expired'])

        const redrive = () =>
          api.as('admin', {
            method: 'POST',
            url: `/api/jobs/dead-letters/${workId}/redrive`,
            payload: { reason: 'mended' },
          })
        expect((await redrive()).statusCode).toBe(200)
        expect(await shown(messageId)).toEqual(['queued', null])
        const data = { status: 'failed', errorCode: 'smtp_refused 550' } as const
        await api.prisma.emailMessage.updateMany({ data })
        expect(await shown(messageId)).toEqual(['queued', null])

        await setWork(api.prisma, workId, 'failed', { code: 'smtp_refused', message: '' })
        expect(await shown(messageId)).toEqual(['failed', 'smtp_refused 550'])
      },
    )

    it('waits when it was set going anew beside a dead letter', async () => {
      const { messageId, workId } = await waiting()
      await setWork(api.prisma, workId, 'failed', { code: 'timeout', message: '' })
      await api.prisma.$transaction((tx) =>
        api.jobsClient.enqueue(tx, dispatchEmail, { emailId: messageId }, { uniqueKey: messageId }),
      )
      expect(await shown(messageId)).toEqual(['queued', null])
    })

    it('has failed when its work was discarded', async () => {
      const { messageId, workId } = await waiting()
      await setWork(api.prisma, workId, 'failed', { code: 'timeout', message: '' })
      const discarded = await api.as('admin', {
        method: 'DELETE',
        url: `/api/jobs/dead-letters/${workId}`,
      })
      expect(discarded.statusCode).toBe(204)
      expect(await shown(messageId)).toEqual(['failed', 'discarded'])
    })

    it('waits for its PDF, and has failed when nobody makes that any more', async () => {
      const { messageId } = (await send((await createInvoice(api, { customer })).id)).json()
      expect(await shown(messageId)).toEqual(['queued', null])
      const render = await workOf('renderInvoicePdf')
      await setWork(api.prisma, render, 'active')
      expect(await shown(messageId)).toEqual(['queued', null])
      await setWork(api.prisma, render, 'failed', { code: 'invoice_invalid', message: '' })
      expect(await shown(messageId)).toEqual(['failed', 'invoice_invalid'])
      await emptyQueue(api.prisma)
      expect(await shown(messageId)).toEqual(['failed', 'pdf_missing'])
    })
  })

  it('does not know one that never was, nor what is not an id', async () => {
    expectProblem(await show(UNKNOWN_ID), 404)
    expectInvalid(await show('1'), ['params.id'])
  })
})
