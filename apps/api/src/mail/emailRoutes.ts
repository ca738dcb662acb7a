import { Problem, invalidRequest, problemResponses } from '@roundsman/admin/http'
import { EmailKind, EmailStatus, type PrismaClient } from '@roundsman/db'
import { dispatchEmail } from '@roundsman/jobs'
import type { JobsClient } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { findEmail } from './findEmail.ts'
import { unknownInvoice } from '../invoices/findInvoice.ts'
import { emailAddress } from '../invoices/invoiceBody.ts'
import { requestInvoicePdf } from '../invoices/invoicePdf.ts'
import { lockInvoice } from '../invoices/writeInvoice.ts'
import { transact } from '../http/transact.ts'

interface EmailRoutesOptions {
  prisma: PrismaClient
  jobsClient: JobsClient
  now: () => Date
  mailDomain: string
}

const idParams = z.strictObject({ id: z.guid() })

/** Routes to write a message into the outbox, from which a worker sends it, and to see what became of it. */
export const emailRoutes: FastifyPluginAsyncZod<EmailRoutesOptions> = async (
  app,
  { prisma, jobsClient, now, mailDomain },
) => {
  app.post(
    '/api/invoices/:id/email',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['invoices'],
        summary: 'Send an invoice by e-mail',
        description:
          'The invoice is attached as a PDF, which is rendered first if it is missing. Each request sends another message.',
        security: [{ accessToken: [] }],
        params: idParams,
        body: z
          .strictObject({
            to: emailAddress.optional().describe('The address to send to; default: the customer’s'),
          })
          .nullish(),
        response: {
          202: z.object({
            messageId: z.guid(),
            statusUrl: z.string().describe('The path that shows whether the message was sent'),
          }),
          ...problemResponses(400, 401, 403, 404, 413, 415, 503),
        },
      },
    },
    async ({ id: requestId, params: { id }, body, caller, log }, reply) => {
      const emailId = await transact(prisma, async (tx) => {
        const invoice = await lockInvoice(tx, id)
        if (!invoice) throw unknownInvoice()
        const recipient = body?.to ?? invoice.customerEmail
        if (recipient === null) {
          const message = 'is missing: give an address, since the invoice has none for its customer'
          throw invalidRequest([{ path: 'body.to', message }])
        }
        const wanted = { invoiceId: id, version: invoice.version }
        const messageId = `<${randomUUID()}@${mailDomain}>`
        const email = await tx.emailMessage.create({
          data: { ...wanted, kind: 'invoice', recipient, messageId, createdAt: now() },
          select: { id: true },
        })
        const pdf = await requestInvoicePdf(tx, jobsClient, wanted, requestId)
        // Otherwise the worker that renders the PDF finds the message and enqueues its sending.
        if (pdf.isReady) {
          const payload = { emailId: email.id }
          const options = { uniqueKey: email.id, enqueuedBy: `request ${requestId}` }
          await jobsClient.enqueue(tx, dispatchEmail, payload, options)
        }
        return email.id
      })
      log.info({ invoiceId: id, emailId, userId: caller.id }, 'invoice e-mail requested')
      return reply.code(202).send({ messageId: emailId, statusUrl: `/api/emails/${emailId}` })
    },
  )

  app.get(
    '/api/emails/:id',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['emails'],
        summary: 'Show whether an e-mail was sent',
        security: [{ accessToken: [] }],
        params: idParams,
        response: {
          200: z.object({
            id: z.guid(),
            status: z.enum(EmailStatus),
            kind: z.enum(EmailKind),
            invoiceId: z.guid().nullable().describe('Null when the message is about no invoice'),
            recipient: z.string(),
            errorCode: z
              .string()
              .nullable()
              .describe('Why the message was not sent; null unless it failed'),
            sentAt: z.iso
              .datetime()
              .nullable()
              .describe('When the mail server accepted the message'),
            createdAt: z.iso.datetime(),
          }),
          ...problemResponses(400, 401, 403, 404),
        },
      },
    },
    async ({ params: { id } }) => {
      const email = await findEmail(prisma, jobsClient, id)
      if (!email) throw new Problem(404, { detail: 'There is no e-mail with this id' })
      return {
        ...email,
        sentAt: email.sentAt?.toISOString() ?? null,
        createdAt: email.createdAt.toISOString(),
      }
    },
  )
}
