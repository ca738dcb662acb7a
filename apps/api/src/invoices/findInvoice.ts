import { Problem } from '@roundsman/admin/http'
import type { JobsClient } from '@roundsman/engine/client'
import { computeTotals, minorUnitDigits } from '@roundsman/billing'
import type { Prisma } from '@roundsman/db'
import { z } from 'zod'
import { formatDate } from '../http/calendarDate.ts'
import { findPdfState, type PdfState } from './invoicePdf.ts'
import { formatQuantity } from './quantity.ts'

const minor = z.int().describe('In the minor unit of the currency')

/** What an answer says of an invoice both in a list and alone. */
const headSchema = z.object({
  id: z.guid(),
  number: z.string(),
  version: z.int().describe('Every change of the invoice raises it'),
  currency: z.string(),
  currencyDigits: z.int().describe('How many decimals the currency has: 2 for EUR, 0 for JPY'),
  grossMinor: minor,
  issuedOn: z.iso.date(),
  dueOn: z.iso.date(),
  createdAt: z.iso.datetime(),
  pdf: z
    .enum(['none', 'waiting', 'ready', 'failed'])
    .describe('The state of the PDF of this version; waiting includes rendering'),
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

/** The answer to a request about an invoice that does not exist. */
export function unknownInvoice(): Problem {
  return new Problem(404, { detail: 'There is no invoice with this id' })
}

/**
 * Reads a whole invoice. The caller reads in one snapshot or holds its lock, so that its PDF's state fits its version.
 * @throws Problem 404 when there is none
 */
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

/** Turns a row into what an answer says of an invoice both in a list and alone. */
export function presentHead(invoice: InvoiceHead, pdf: PdfState): z.output<typeof headSchema> {
  const { id, number, version, currency, grossMinor, issuedOn, dueOn, createdAt } = invoice
  return {
    id,
    number,
    version,
    currency,
    // The currency was known when the invoice was written; a later runtime may have forgotten it.
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
