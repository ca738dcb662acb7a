import type { DatabaseClient } from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import type { InjectOptions } from 'fastify'
import { expectProblem, listQueue, openForTests } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'
import { createInvoice, invoiceBody, markRendered } from '../invoices.ts'

const api = openForTests(createTestApi)
let app: ReturnType<typeof buildApp>
beforeAll(async () => {
  const { clock, jobsClient } = api
  const prisma = rollingBack(api.prisma)
  app = buildApp({ prisma, jobsClient, jobs, jwtSecret: JWT_SECRET, now: clock.now })
  await app.ready()
})
afterAll(() => app.close())

/** The same client, except that each transaction does its work and is then rolled back. */
function rollingBack(prisma: DatabaseClient): DatabaseClient {
  const transact = (work: (tx: unknown) => Promise<unknown>) =>
    prisma.$transaction(async (tx) => {
      await work(tx)
      throw new Error('rolled back')
    })
  return new Proxy(prisma, {
    get: (target, key) => (key === '$transaction' ? transact : Reflect.get(target, key)),
  })
}

it('what is asked for of an invoice, an e-mail or a preview is done if and only if its transaction commits', async () => {
  const { prisma } = api
  const ask = (id: string) => api.as('staff', { method: 'POST', url: `/api/invoices/${id}/pdf` })
  const waiting = await createInvoice(api)
  const ready = await createInvoice(api)
  await ask(ready.id)
  await markRendered(prisma, ready)

  const state = async () => ({
    sessions: await prisma.previewSession.findMany({ orderBy: { id: 'asc' } }),
    invoices: await prisma.invoice.findMany({
      include: { lines: { orderBy: { position: 'asc' } } },
      orderBy: { id: 'asc' },
    }),
    pdfs: await prisma.invoicePdf.findMany({ orderBy: { id: 'asc' } }),
    messages: await prisma.emailMessage.findMany({ orderBy: { id: 'asc' } }),
    queue: await listQueue(prisma),
  })
  const requests: InjectOptions[] = [
    { url: '/api/preview-sessions', payload: { label: 'Acme', ttlSeconds: 60 } },
    { url: '/api/invoices', payload: invoiceBody() },
    { url: `/api/invoices/${waiting.id}/pdf` },
    { url: `/api/invoices/${waiting.id}/email`, payload: { to: 'a@example.com' } },
    { url: `/api/invoices/${ready.id}/email`, payload: { to: 'a@example.com' } },
    {
      method: 'PUT',
      url: `/api/invoices/${waiting.id}`,
      payload: invoiceBody({ version: 1, notes: 'changed' }),
    },
  ]
  for (const request of requests) {
    const authorized = {
      method: 'POST',
      ...request,
      headers: { authorization: `Bearer ${api.app.issueToken(api.userIds.admin)}` },
    } as const
    const { url } = request
    const before = await state()
    expectProblem(await app.inject(authorized), 500)
    expect({ url, ...(await state()) }).toEqual({ url, ...before })

    expect((await api.app.inject(authorized)).statusCode).toBeLessThan(300)
    expect({ url, ...(await state()) }).not.toEqual({ url, ...before })
  }
})
