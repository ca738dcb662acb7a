import { Problem } from '@roundsman/fastify/http'
import type { JobsClient } from '@roundsman/engine/client'
import { computeTotals, minorUnitDigits } from '@roundsman/billing'
import type { Prisma } from '@roundsman/db'
import { z } from 'zod'
import { formatDate } from '../http/calendarDate.ts'
import { findPdfState, type PdfState } from './invoicePdf.ts'
import { formatQuantity } from './quantity.ts'

const minor = z.int().describe('In the minor unit of the currency')

/** What a list says of an invoice, and the whole of it as well. */
const headSchema = z.object({
  id: z.guid(),
  number: z.string(),
  version: z.int().describe('Raised by every change'),
  currency: z.string(),
  currencyDigits: z.int().describe('Of its minor unit: 2 for EUR, 0 for JPY'),
  grossMinor: minor,
  issuedOn: z.iso.date(),
  dueOn: z.iso.date(),
  createdAt: z.iso.datetime(),
  pdf: z
    .enum(['none', 'waiting', 'ready', 'failed'])
    .describe('Of this version; waiting also while it is being rendered'),
})

export const invoiceItemSchema = headSchema.extend({ customerName: z.string() })

export const invoiceSchema = headSchema.extend({
  locale: z.string(),
  customer: z.object({
    name: z.string(),
    address: z.array(z.string()),
    email: z.string().nullable(),
    taxId: z.string().nullable(),
  }),
  notes: z.string().nullable(),
  lines: z.array(
    z.object({
      description: z.string(),
      quantity: z.string().describe('Such as "1.5"'),
      unitPriceMinor: minor,
      taxRateBasisPoints: z.int(),
      netMinor: minor,
    }),
  ),
  taxes: z
    .array(z.object({ rateBasisPoints: z.int(), netMinor: minor, taxMinor: minor }))
    .describe('One for each rate, the lowest first'),
  netMinor: minor,
  taxMinor: minor,
  updatedAt: z.iso.datetime(),
})

export function unknownInvoice(): Problem {
  return new Problem(404, { detail: 'There is no invoice with this id' })
}

/** The whole invoice, read in one snapshot or under its lock. @throws Problem 404 */
export async function findInvoice(
  tx: Prisma.TransactionClient,
  jobsClient: JobsClient,
  id: string,
): Promise<z.output<typeof invoiceSchema>> {
  const invoice = await tx.invoice.findUnique({
    where: { id },
    include: { lines: { orderBy: { position: 'asc' } } },
  })
  if (!invoice) throw unknownInvoice()
  const pdf = await findPdfState(tx, jobsClient, { invoiceId: id, version: invoice.version })
  const lines = invoice.lines.map((line) => ({
    ...line,
    unitPriceMinor: Number(line.unitPriceMinor),
    netMinor: Number(line.netMinor),
  }))
  return {
    ...presentHead(invoice, pdf),
    locale: invoice.locale,
    customer: {
      name: invoice.customerName,
      address: invoice.customerAddress,
      email: invoice.customerEmail,
      taxId: invoice.customerTaxId,
    },
    notes: invoice.notes,
    lines: lines.map(({ quantityMilli, ...line }) => ({
      ...line,
      quantity: formatQuantity(quantityMilli),
    })),
    taxes: computeTotals(lines).taxes,
    netMinor: Number(invoice.netMinor),
    taxMinor: Number(invoice.taxMinor),
    updatedAt: invoice.updatedAt.toISOString(),
  }
}

/** What an answer says of an invoice wherever it names one. */
export function presentHead(invoice: InvoiceHead, pdf: PdfState): z.output<typeof headSchema> {
  const { id, number, version, currency, grossMinor, issuedOn, dueOn, createdAt } = invoice
  return {
    id,
    number,
    version,
    currency,
    // Known when it was written; a later runtime may have forgotten the currency of an old invoice.
    currencyDigits: minorUnitDigits(currency) ?? 2,
    grossMinor: Number(grossMinor),
    issuedOn: formatDate(issuedOn),
    dueOn: formatDate(dueOn),
    createdAt: createdAt.toISOString(),
    pdf: pdf.kind === 'running' ? 'waiting' : pdf.kind,
  }
}

export interface InvoiceHead {
  id: string
  number: string
  version: number
  currency: string
  grossMinor: bigint
  issuedOn: Date
  dueOn: Date
  createdAt: Date
}
