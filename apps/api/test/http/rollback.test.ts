import type { DatabaseClient } from '@roundsman/db'
import type { JobsClient } from '@roundsman/engine/client'
import { jobs } from '@roundsman/jobs'
import type { InjectOptions } from 'fastify'
import { expectProblem, listQueue, openForTests, setWork } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'
import { createInvoice, invoiceBody, markRendered } from '../invoices.ts'

const api = openForTests(createTestApi)
let app: ReturnType<typeof buildApp>
beforeAll(async () => {
  const { clock } = api
  const prisma = rollingBack(api.prisma)
  const jobsClient = within(api.jobsClient, prisma)
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

const ASKED_FOR =
  /^(?:request|cancel|approve|redrive|discard|pause|resume|postpone|prioritise|actOnMany)/

/** The same client, except that what people ask for happens in transactions of that Prisma client. */
function within(jobsClient: JobsClient, prisma: DatabaseClient): JobsClient {
  return new Proxy(jobsClient, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key)
      if (typeof method !== 'function' || !ASKED_FOR.test(String(key))) return method
      return (...asked: unknown[]) => {
        const { tx } = (asked.at(-1) ?? {}) as { tx?: unknown }
        if (tx !== undefined) return Reflect.apply(method, target, asked) as unknown
        return prisma.$transaction((own) => Reflect.apply(method, target, [...asked, { tx: own }]))
      }
    },
  })
}

it('what is asked for of a job or a run is done if and only if its transaction commits', async () => {
  const { prisma } = api
  const schedule = { cron: '0 3 * * *', timeZone: 'UTC', cursor: new Date() }
  await prisma.jobSchedule.createMany({
    data: [
      { ...schedule, name: 'cleanupI18nCache' },
      { ...schedule, name: 'pruneJobRuns', pausedAt: new Date(), pausedBy: 'somebody' },
    ],
  })
  const run = { name: 'cleanupI18nCache', trigger: 'queue', workerId: 'worker' } as const
  const [running, blocked] = await prisma.jobRun.createManyAndReturn({
    data: [
      run,
      {
        ...run,
        trigger: 'schedule',
        status: 'failed',
        endedAt: new Date(),
        errorCode: 'guard_blocked',
        details: { error: { code: 'guard_blocked', message: '' }, guard: { due: 5 } },
      },
    ],
  })
  const state = async () => ({
    schedules: await prisma.jobSchedule.findMany({ orderBy: { name: 'asc' } }),
    runs: await prisma.jobRun.findMany({ orderBy: { id: 'asc' } }),
    cancels: await prisma.$queryRaw`select "runId"::text, "requestedBy" from "JobCancel"`,
    queue: await listQueue(prisma),
  })
  const paths = [
    'cleanupI18nCache/run',
    'cleanupI18nCache/pause',
    'pruneJobRuns/resume',
    `runs/${running!.id}/cancel`,
    `runs/${blocked!.id}/approve`,
  ]
  for (const path of paths) {
    const request = {
      method: 'POST',
      url: `/api/jobs/${path}`,
      headers: { authorization: `Bearer ${api.app.issueToken(api.userIds.admin)}` },
      payload: { reason: 'why' },
    } as const
    const before = await state()
    expectProblem(await app.inject(request), 500)
    expect({ path, ...(await state()) }).toEqual({ path, ...before })

    expect((await api.app.inject(request)).statusCode).toBeLessThan(300)
    expect({ path, ...(await state()) }).not.toEqual({ path, ...before })
  }
})

it('what is asked for of an invoice, an e-mail, a preview or a dead letter as well', async () => {
  const { prisma } = api
  const ask = (id: string) => api.as('staff', { method: 'POST', url: `/api/invoices/${id}/pdf` })
  const waiting = await createInvoice(api)
  const ready = await createInvoice(api)
  const deadLetters: string[] = []
  for (let i = 0; i < 3; i += 1) {
    const { id } = await createInvoice(api)
    const { jobId } = (await ask(id)).json()
    await setWork(prisma, jobId, 'failed', { code: 'font_missing', message: '' })
    deadLetters.push(jobId)
  }
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
    { url: `/api/jobs/dead-letters/${deadLetters[0]}/redrive`, payload: { reason: 'why' } },
    {
      url: '/api/jobs/bulk',
      payload: { kind: 'redrive', reason: 'why', ids: [deadLetters[1]] },
    },
    { method: 'DELETE', url: `/api/jobs/dead-letters/${deadLetters[2]}` },
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
