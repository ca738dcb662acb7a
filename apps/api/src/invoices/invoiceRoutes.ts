import { nextPageCursor, pageCursor, pageLimit, problemResponses } from '@roundsman/admin/http'
import type { PrismaClient, Prisma } from '@roundsman/db'
import { emit } from '@roundsman/jobs/hooks'
import type { JobsClient } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { findInvoice, invoiceItemSchema, invoiceSchema, unknownInvoice } from './findInvoice.ts'
import { INVOICE_BODY_LIMIT_BYTES, invoiceBody } from './invoiceBody.ts'
import { requestInvoicePdf, type InvoiceVersion } from './invoicePdf.ts'
import { listInvoices } from './listInvoices.ts'
import { changeInvoice, createInvoice } from './writeInvoice.ts'
import { readTogether, transact } from '../http/transact.ts'

interface InvoiceRoutesOptions {
  prisma: PrismaClient
  jobsClient: JobsClient
  now: () => Date
}

const MAX_VERSION = 2 ** 31 - 1

const idParams = z.strictObject({ id: z.guid() })

/** Routes to create, list, read and change invoices. Their PDFs have routes of their own. */
export const invoiceRoutes: FastifyPluginAsyncZod<InvoiceRoutesOptions> = async (
  app,
  { prisma, jobsClient, now },
) => {
  app.post(
    '/api/invoices',
    {
      onRequest: app.requireRole('staff'),
      bodyLimit: INVOICE_BODY_LIMIT_BYTES,
      schema: {
        tags: ['invoices'],
        summary: 'Create an invoice',
        description:
          'An invoice without a number gets the next one. Without dates it is issued today, in UTC, and due two weeks later.',
        security: [{ accessToken: [] }],
        body: invoiceBody,
        response: {
          201: invoiceSchema,
          ...problemResponses(400, 401, 403, 409, 413, 415, 503),
        },
      },
    },
    async ({ body, caller, log }, reply) => {
      const invoice = await transact(prisma, async (tx) => {
        const { id, version } = await createInvoice(tx, body, now())
        await emit(tx, jobsClient.enqueue, 'invoiceIssued', { invoiceId: id, version })
        return await findInvoice(tx, jobsClient, id)
      })
      const { id } = invoice
      log.info({ invoiceId: id, userId: caller.id }, 'invoice created')
      return reply.code(201).header('location', `/api/invoices/${id}`).send(invoice)
    },
  )

  app.get(
    '/api/invoices',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['invoices'],
        summary: 'List invoices, newest first',
        security: [{ accessToken: [] }],
        querystring: z.strictObject({ limit: pageLimit(50), cursor: pageCursor }),
        response: {
          200: z.object({ invoices: z.array(invoiceItemSchema), nextCursor: nextPageCursor }),
          ...problemResponses(400, 401, 403),
        },
      },
    },
    ({ query }) => listInvoices(prisma, jobsClient, query),
  )

  app.get(
    '/api/invoices/:id',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['invoices'],
        summary: 'Show an invoice',
        security: [{ accessToken: [] }],
        params: idParams,
        response: { 200: invoiceSchema, ...problemResponses(400, 401, 403, 404) },
      },
    },
    ({ params: { id } }) => readTogether(prisma, (tx) => findInvoice(tx, jobsClient, id)),
  )

  app.put(
    '/api/invoices/:id',
    {
      onRequest: app.requireRole('staff'),
      bodyLimit: INVOICE_BODY_LIMIT_BYTES,
      schema: {
        tags: ['invoices'],
        summary: 'Change an invoice',
        description:
          'Replaces the whole invoice; number and dates stay when they are left out. A PDF or an e-mail that was requested before gets the new version.',
        security: [{ accessToken: [] }],
        params: idParams,
        body: invoiceBody.extend({
          version: z
            .int()
            .min(1)
            .max(MAX_VERSION)
            .describe(
              'The version that you have read; the change is refused when there is a newer one',
            ),
        }),
        response: {
          200: invoiceSchema,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 503),
        },
      },
    },
    async ({ id: requestId, params: { id }, body, caller, log }) => {
      const invoice = await transact(prisma, async (tx) => {
        const changed = await changeInvoice(tx, id, body)
        if (!changed) throw unknownInvoice()
        const { version } = changed
        await renewPdfRequests(tx, jobsClient, { invoiceId: id, version }, requestId)
        return await findInvoice(tx, jobsClient, id)
      })
      const { version } = invoice
      log.info({ invoiceId: id, version, userId: caller.id }, 'invoice changed')
      return invoice
    },
  )
}

/**
 * After a change, gives the new version to whoever waits for the PDF of the version before, or for an e-mail with it:
 * the worker renders no outdated version. The caller holds the invoice's lock.
 */
async function renewPdfRequests(
  tx: Prisma.TransactionClient,
  jobsClient: JobsClient,
  { invoiceId, version }: InvoiceVersion,
  requestId: string,
): Promise<void> {
  const unrendered = await tx.invoicePdf.count({
    where: { invoiceId, version: version - 1, pdf: null },
  })
  const { count: moved } = await tx.emailMessage.updateMany({
    where: { invoiceId, status: 'queued' },
    data: { version },
  })
  if (unrendered + moved > 0)
    await requestInvoicePdf(tx, jobsClient, { invoiceId, version }, requestId)
}
