import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const renderInvoicePdf = defineJob({
  name: 'renderInvoicePdf',
  description: 'Renders one version of an invoice as a PDF.',
  payload: z.strictObject({ invoiceId: z.guid(), version: z.int().positive() }),
  timeoutMs: 2 * 60_000,
  // Each run takes a thread of its own. More at once would only share the same processors.
  concurrency: 2,
})
