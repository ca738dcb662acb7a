import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '../createTestApi.ts'
import { expectProblem } from '../expectProblem.ts'
import { createInvoice } from '../invoices.ts'

let api: TestApi
beforeAll(async () => {
  // As when the API was updated before the worker.
  api = await createTestApi()
})
afterAll(() => api.close())

it('what needs a job that no worker knows yet says so, and changes nothing', async () => {
  const { prisma } = api
  const { id } = await createInvoice(api)
  const run = await prisma.jobRun.create({
    data: {
      name: 'cleanupI18nCache',
      trigger: 'schedule',
      workerId: 'worker',
      status: 'failed',
      endedAt: new Date(),
      errorCode: 'guard_blocked',
      details: { error: { code: 'guard_blocked', message: '' }, guard: { due: 5 } },
    },
  })
  const state = async () => [
    await prisma.invoicePdf.findMany(),
    await prisma.emailMessage.findMany(),
    await prisma.jobRun.findMany(),
  ]
  const before = await state()
  for (const [url, payload] of [
    [`/api/invoices/${id}/pdf`, undefined],
    [`/api/invoices/${id}/email`, { to: 'a@example.com' }],
    ['/api/jobs/cleanupI18nCache/run', { reason: 'why' }],
    [`/api/jobs/runs/${run.id}/approve`, { reason: 'why' }],
  ] as const) {
    const response = await api.as('admin', { method: 'POST', url, ...(payload && { payload }) })
    const { detail } = expectProblem(response, 503)
    expect(detail).toContain('or start a worker that has the job')
  }
  expect(await state()).toEqual(before)
})
