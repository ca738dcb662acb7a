import type { PrismaClient } from '@roundsman/db'
import { emptyTables, QUEUE } from '@roundsman/testing'
import { expect } from 'vitest'
import type { TestApi } from './createTestApi.ts'

/** Removes all invoices, what was rendered and sent of them, and all work. */
export async function emptyInvoices(prisma: PrismaClient): Promise<void> {
  await emptyTables(prisma, `"EmailMessage", "InvoicePdf", "InvoiceLine", "Invoice", ${QUEUE}`)
}

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
