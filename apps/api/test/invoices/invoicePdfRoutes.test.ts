// Not quick: asks many times at once.
import {
  emptyQueue,
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  setWork,
  UNKNOWN_ID,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'
import { createInvoice, emptyInvoices, invoiceBody, markRendered } from '../invoices.ts'

const api = openForTests(createTestApi)

beforeEach(async () => {
  await emptyInvoices(api.prisma)
})

const ask = (id: string) => api.as('staff', { method: 'POST', url: `/api/invoices/${id}/pdf` })
const fetchPdf = (id: string, headers: Record<string, string> = {}) =>
  api.as('staff', { method: 'GET', url: `/api/invoices/${id}/pdf`, headers })
const change = (id: string, version: number) =>
  api.as('staff', { method: 'PUT', url: `/api/invoices/${id}`, payload: invoiceBody({ version }) })
const pdfsOf = (invoiceId: string) =>
  api.prisma.invoicePdf.findMany({
    where: { invoiceId },
    select: { version: true, workId: true, pdf: true },
    orderBy: { version: 'asc' },
  })

async function askedInvoice(changes: object = {}) {
  const invoice = await createInvoice(api, changes)
  const response = await ask(invoice.id)
  expect(response.statusCode).toBe(202)
  return { ...invoice, jobId: response.json().jobId as string }
}

describe('POST /api/invoices/:id/pdf', () => {
  it('puts the work into the queue and says at once where the PDF will be', async () => {
    const { id } = await createInvoice(api)
    const response = await ask(id)
    expect(response.statusCode).toBe(202)
    const { jobId } = response.json()
    expect(response.json()).toEqual({ jobId, statusUrl: `/api/invoices/${id}/pdf` })
    expect(await listQueue(api.prisma)).toEqual([
      {
        id: jobId,
        name: 'renderInvoicePdf',
        state: 'created',
        data: {
          payload: { invoiceId: id, version: 1 },
          trigger: 'queue',
          enqueuedBy: expect.stringMatching(/^request [0-9a-f-]{36}$/),
        },
      },
    ])
    expect(await pdfsOf(id)).toEqual([{ version: 1, workId: jobId, pdf: null }])
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'invoice PDF requested',
        invoiceId: id,
        version: 1,
        workId: jobId,
        userId: api.userIds.staff,
      }),
    )
  })

  it('renders once, however often it is asked for while that waits, runs or is done', async () => {
    const { id, version, number, jobId } = await askedInvoice()
    for (const state of ['created', 'active', 'retry'] as const) {
      await setWork(api.prisma, jobId, state)
      expect((await ask(id)).json().jobId).toBe(jobId)
    }
    await markRendered(api.prisma, { id, version, number })
    // As between a worker's two transactions, after them, and once the queue has forgotten the work.
    for (const state of ['active', 'completed'] as const) {
      await setWork(api.prisma, jobId, state)
      expect((await ask(id)).json().jobId).toBe(jobId)
    }
    expect(await listQueue(api.prisma)).toEqual([])
    await api.prisma.jobRun.deleteMany()
    expect((await ask(id)).json().jobId).toBe(jobId)
    expect(await listQueue(api.prisma)).toEqual([])
  })

  it('tries again what has failed for good, once for all who ask', async () => {
    const { id, jobId } = await askedInvoice()
    await setWork(api.prisma, jobId, 'failed', { code: 'font_missing', message: 'No font' })
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(id)))
    const ids = new Set(answers.map((answer) => answer.json().jobId as string))
    expect(ids.size).toBe(1)
    const [again] = ids
    expect(again).not.toBe(jobId)
    expect(await listQueue(api.prisma)).toMatchObject([
      { id: jobId, state: 'failed' },
      { id: again, state: 'created', data: { payload: { invoiceId: id, version: 1 } } },
    ])
    expect(await pdfsOf(id)).toEqual([{ version: 1, workId: again, pdf: null }])
    expect((await fetchPdf(id)).json()).toEqual({ state: 'waiting' })
  })

  it('asks anew for what the queue knows no more, or has ended without a PDF', async () => {
    const { id, jobId } = await askedInvoice()
    await setWork(api.prisma, jobId, 'completed')
    const second: string = (await ask(id)).json().jobId
    expect(second).not.toBe(jobId)
    await emptyQueue(api.prisma)
    const third: string = (await ask(id)).json().jobId
    expect(await pdfsOf(id)).toEqual([{ version: 1, workId: third, pdf: null }])
    expect(await listQueue(api.prisma)).toHaveLength(1)
  })

  it('does not know an invoice that never was, nor what is not an id', async () => {
    expectProblem(await ask(UNKNOWN_ID), 404)
    expectInvalid(await ask('1'), ['params.id'])
    expect(await listQueue(api.prisma)).toEqual([])
  })
})

describe('GET /api/invoices/:id/pdf', () => {
  it('gives the PDF, which may be kept and has to be asked about', async () => {
    const invoice = await askedInvoice({ number: '2026-000123' })
    const bytes = '%PDF-1.7 \u00ff\u0000 %%EOF'
    await markRendered(api.prisma, invoice, bytes)
    const response = await fetchPdf(invoice.id)
    expect(response.statusCode).toBe(200)
    expect(response.rawPayload).toEqual(Buffer.from(bytes))
    expect(response.headers).toMatchObject({
      'content-type': 'application/pdf',
      'content-length': String(Buffer.byteLength(bytes)),
      'content-disposition': `inline; filename="2026-000123.pdf"; filename*=UTF-8''2026-000123.pdf`,
      etag: '"v1"',
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
    })
  })

  it('answers 304 to whoever has this version, and the PDF to whoever has another', async () => {
    const invoice = await askedInvoice()
    await markRendered(api.prisma, invoice)
    for (const known of ['"v1"', 'W/"v1"', '"v0", "v1"', '*']) {
      const response = await fetchPdf(invoice.id, { 'if-none-match': known })
      expect([response.statusCode, response.body, response.headers['etag']]).toEqual([
        304,
        '',
        '"v1"',
      ])
    }
    for (const known of ['"v2"', 'v1', '"v11"', '']) {
      const response = await fetchPdf(invoice.id, { 'if-none-match': known })
      expect([known, response.statusCode]).toEqual([known, 200])
    }
  })

  it('makes a safe filename of any number', async () => {
    const cases = [
      ['A/1', 'A_1', 'A_1'],
      ['../../etc/passwd', 'etc_passwd', '.._.._etc_passwd'],
      ['"; filename="x.exe', 'filename_x.exe', '_%3B%20filename%3D_x.exe'],
      ['Größe (5) 🦉', 'Gr_e_5', 'Gr%C3%B6%C3%9Fe%20%285%29%20%F0%9F%A6%89'],
      ['請求書', 'invoice', '%E8%AB%8B%E6%B1%82%E6%9B%B8'],
    ] as const
    for (const [number, plain, encoded] of cases) {
      const invoice = await askedInvoice({ number })
      await markRendered(api.prisma, invoice)
      expect((await fetchPdf(invoice.id)).headers['content-disposition']).toBe(
        `inline; filename="${plain}.pdf"; filename*=UTF-8''${encoded}.pdf`,
      )
    }
  })

  it('says whether one that is not ready waits or is being rendered, and when to ask again', async () => {
    const { id, jobId } = await askedInvoice()
    const waiting = await fetchPdf(id)
    expect([waiting.statusCode, waiting.json()]).toEqual([202, { state: 'waiting' }])
    expect(waiting.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' })

    await setWork(api.prisma, jobId, 'active')
    const running = await fetchPdf(id)
    expect([running.statusCode, running.json()]).toEqual([202, { state: 'running' }])
    expect(running.headers['retry-after']).toBe('1')

    await setWork(api.prisma, jobId, 'retry')
    await api.prisma
      .$executeRaw`update "JobWork" set "place" = null, "dueAt" = now() + interval '1 hour'`
    const retried = await fetchPdf(id)
    expect([retried.statusCode, retried.json()]).toEqual([202, { state: 'waiting' }])
    const seconds = Number(retried.headers['retry-after'])
    expect(seconds).toBeGreaterThan(3_500)
    expect(seconds).toBeLessThanOrEqual(3_600)
  })

  it('says with which code it failed for good', async () => {
    const { id, jobId } = await askedInvoice()
    await setWork(api.prisma, jobId, 'failed', { code: 'font_missing', message: 'internal' })
    const response = await fetchPdf(id)
    expectProblem(response, 409)
    expect(response.json()).toMatchObject({ code: 'font_missing' })
    expect(response.body).not.toContain('internal')
    await setWork(api.prisma, jobId, 'failed')
    expect((await fetchPdf(id)).json()).toMatchObject({ status: 409, code: 'expired' })
  })

  it('does not know one that nobody has asked for', async () => {
    const { id } = await createInvoice(api)
    expect(expectProblem(await fetchPdf(id), 404).detail).toContain('Nobody has asked')
    expect(expectProblem(await fetchPdf(UNKNOWN_ID), 404).detail).toContain('no invoice')
    expectInvalid(await fetchPdf('1'), ['params.id'])
    expect(await listQueue(api.prisma)).toEqual([])
  })

  it('gives no PDF of a version that is outdated, and tells to ask again', async () => {
    const invoice = await askedInvoice()
    await markRendered(api.prisma, invoice)
    expect((await change(invoice.id, 1)).json()).toMatchObject({ version: 2, pdf: 'none' })
    const answer = await fetchPdf(invoice.id, { 'if-none-match': '"v1"' })
    expect(expectProblem(answer, 404).detail).toContain('ask for it again')

    const { jobId } = (await ask(invoice.id)).json()
    expect(jobId).not.toBe(invoice.jobId)
    await markRendered(api.prisma, { ...invoice, version: 2 })
    const second = await fetchPdf(invoice.id, { 'if-none-match': '"v1"' })
    expect([second.statusCode, second.headers['etag']]).toEqual([200, '"v2"'])
    expect(second.body).toBe(`%PDF of ${invoice.id} in version 2`)
  })
})

describe('a change while a PDF is waited for', () => {
  it('asks for the PDF of the new version, in the same transaction', async () => {
    for (const state of ['created', 'active', 'retry', 'failed'] as const) {
      const { id, jobId } = await askedInvoice()
      await setWork(api.prisma, jobId, state)
      expect((await change(id, 1)).json()).toMatchObject({ version: 2, pdf: 'waiting' })
      const [old, wanted] = await pdfsOf(id)
      expect(old).toEqual({ version: 1, workId: jobId, pdf: null })
      expect(wanted).toMatchObject({ version: 2, pdf: null })
      expect(
        (await listQueue(api.prisma)).find((work) => work.id === wanted?.workId),
      ).toMatchObject({ state: 'created', data: { payload: { invoiceId: id, version: 2 } } })
      expect((await fetchPdf(id)).json()).toEqual({ state: 'waiting' })
      expect((await ask(id)).json().jobId).toBe(wanted?.workId)
    }
  })

  it('asks for nothing where nobody has asked, or the PDF was ready', async () => {
    const untouched = await createInvoice(api)
    const ready = await askedInvoice()
    await markRendered(api.prisma, ready)
    for (const { id } of [untouched, ready]) await change(id, 1)
    expect(await listQueue(api.prisma)).toHaveLength(1)
    expect(await api.prisma.invoicePdf.count()).toBe(1)
  })

  it('and the asking at once leave the present version asked for, whoever comes first', async () => {
    for (let i = 0; i < 10; i += 1) {
      const { id } = await createInvoice(api)
      const answers = await Promise.all([ask(id), change(id, 1), ask(id)])
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 200, 202])
      expect((await fetchPdf(id)).statusCode).toBe(202)
      expect((await pdfsOf(id)).at(-1)?.version).toBe(2)
    }
  })
})
