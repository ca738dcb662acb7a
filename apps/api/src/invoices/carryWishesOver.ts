import type { Prisma } from '@roundsman/db'
import type { JobsClient } from '@roundsman/engine/client'
import { requestInvoicePdf, type InvoiceVersion } from './invoicePdf.ts'

/**
 * After a change: who waits for a PDF of the version before, or for a message with it, gets the new one. The
 * worker leaves outdated versions alone. The caller holds the invoice.
 */
export async function carryWishesOver(
  tx: Prisma.TransactionClient,
  enqueue: JobsClient['enqueue'],
  { invoiceId, version }: InvoiceVersion,
): Promise<void> {
  const unrendered = await tx.invoicePdf.count({
    where: { invoiceId, version: version - 1, pdf: null },
  })
  const { count: moved } = await tx.emailMessage.updateMany({
    where: { invoiceId, status: 'queued' },
    data: { version },
  })
  if (unrendered + moved > 0) await requestInvoicePdf(tx, enqueue, { invoiceId, version })
}
