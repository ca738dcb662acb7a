import { computeTotals, minorUnitDigits } from '@roundsman/billing'
import type { Invoice, InvoiceLine, PrismaClient } from '@roundsman/db'
import type { renderInvoicePdf as job } from '@roundsman/jobs'
import { emit } from '@roundsman/jobs/hooks'
import { JobError } from '@roundsman/engine'
import type { InvoiceRenderer } from '../invoicePdf/createInvoiceRenderer.ts'
import type { InvoiceDocument, InvoiceSeller } from '../invoicePdf/invoiceDocument.ts'
import type { Handler } from './handler.ts'

export interface RenderInvoicePdfDependencies {
  prisma: PrismaClient
  renderer: Pick<InvoiceRenderer, 'render'>
  /** Who issues the invoice. Null when the environment names nobody. */
  seller: InvoiceSeller | null
}

/** Makes the handler that renders a version of an invoice once, and has the messages sent that wait for it. */
export function renderInvoicePdf(dependencies: RenderInvoicePdfDependencies): Handler<typeof job> {
  const { prisma, renderer, seller } = dependencies
  return async ({ payload: { invoiceId, version }, batch, enqueue, now, signal }) => {
    if (seller === null) throw new JobError('seller_missing', 'SELLER_NAME is not set')
    const invoice = await prisma.invoice.findUnique({
      where: { id: invoiceId },
      include: { lines: { orderBy: { position: 'asc' } } },
    })
    if (!invoice) {
      throw new JobError('invoice_missing', 'The invoice does not exist any more', {
        retryable: false,
      })
    }
    // Whoever changed the invoice has asked for the new version's PDF.
    if (invoice.version !== version) return { isOutdated: true }
    const { pdf, pages } = await renderer.render(toDocument(invoice, seller), signal)

    await batch(async (tx) => {
      // The lock keeps the invoice from changing, so that a PDF stored under a version shows that version.
      const current = await tx.$queryRaw<unknown[]>`
        select 1 as "one" from "Invoice" where "id" = ${invoiceId}::uuid and "version" = ${version} for share`
      if (current.length === 0) return { rendered: 0, pages: 0 }
      const { count } = await tx.invoicePdf.updateMany({
        where: { invoiceId, version, pdf: null },
        data: { pdf: Uint8Array.from(pdf), pages, renderedAt: now() },
      })
      // Nobody has asked for it, or it is stored already: nobody waits for it.
      if (count === 0) return { rendered: 0, pages: 0 }
      const waiting = await tx.emailMessage.findMany({
        where: { invoiceId, version, status: 'queued' },
        select: { id: true },
      })
      const event = { invoiceId, version, emailIds: waiting.map(({ id }) => id) }
      await emit(tx, enqueue, 'invoicePdfReady', event)
      return { rendered: count, pages }
    })
    return {}
  }
}

/** Turns an invoice's rows into what the renderer takes. */
function toDocument(
  invoice: Invoice & { lines: InvoiceLine[] },
  seller: InvoiceSeller,
): InvoiceDocument {
  const { customerName, customerAddress, customerEmail, customerTaxId, notes } = invoice
  const lines = invoice.lines.map((line) => ({
    description: line.description,
    quantityMilli: line.quantityMilli,
    unitPriceMinor: Number(line.unitPriceMinor),
    taxRateBasisPoints: line.taxRateBasisPoints,
    netMinor: Number(line.netMinor),
  }))
  return {
    number: invoice.number,
    locale: invoice.locale,
    currency: invoice.currency,
    currencyDigits: minorUnitDigits(invoice.currency) ?? 2,
    issuedOn: isoDate(invoice.issuedOn),
    dueOn: isoDate(invoice.dueOn),
    seller,
    customer: {
      name: customerName,
      address: customerAddress,
      ...(customerEmail !== null && { email: customerEmail }),
      ...(customerTaxId !== null && { taxId: customerTaxId }),
    },
    lines,
    taxes: computeTotals(lines).taxes,
    netMinor: Number(invoice.netMinor),
    taxMinor: Number(invoice.taxMinor),
    grossMinor: Number(invoice.grossMinor),
    ...(notes !== null && { notes }),
  }
}

function isoDate(date: Date): string {
  return date.toISOString().slice(0, 10)
}
