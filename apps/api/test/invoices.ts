import type { PrismaClient } from '@roundsman/db'
import { expect } from 'vitest'
import type { TestApi } from './createTestApi.ts'

/** A valid body, with changes. */
export function invoiceBody(changes: object = {}) {
  return {
    customer: { name: 'Example GmbH', address: ['1 Example Street', 'Example Town'] },
    currency: 'EUR',
    locale: 'de-DE',
    lines: [
      { description: 'Work', quantity: '1.5', unitPriceMinor: 10_000, taxRateBasisPoints: 1_900 },
    ],
    ...changes,
  }
}

export interface CreatedInvoice {
  id: string
  number: string
  version: number
}

export async function createInvoice(api: TestApi, changes: object = {}): Promise<CreatedInvoice> {
  const payload = invoiceBody(changes)
  const response = await api.as('staff', { method: 'POST', url: '/api/invoices', payload })
  expect({ status: response.statusCode, body: response.body }).toMatchObject({ status: 201 })
  return response.json()
}

/** Writes what a worker writes when it has rendered a version that was asked for. */
export async function markRendered(
  prisma: PrismaClient,
  { id, version }: CreatedInvoice,
  pdf = `%PDF of ${id} in version ${version}`,
): Promise<void> {
  const { count } = await prisma.invoicePdf.updateMany({
    where: { invoiceId: id, version },
    data: { pdf: Buffer.from(pdf), pages: 1, renderedAt: new Date() },
  })
  expect(count).toBe(1)
}

/** Moves a piece of work to a state as the queue would, with what the queue keeps of its error. */
export async function setWork(
  prisma: PrismaClient,
  workId: string,
  state: 'created' | 'retry' | 'active' | 'completed' | 'failed',
  error: { code: string; message: string } | null = null,
): Promise<void> {
  const output = JSON.stringify(error)
  const hasEnded = state === 'completed' || state === 'failed'
  const count = await prisma.$executeRaw`
    update pgboss.job set state = ${state}::pgboss.job_state, output = ${output}::jsonb,
      completed_on = case when ${hasEnded} then now() end
    where id = ${workId}::uuid`
  expect(count).toBe(1)
}
