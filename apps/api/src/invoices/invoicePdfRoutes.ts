import { Problem, describeProblems, problemResponses, problemSchema } from '@roundsman/admin/http'
import type { PrismaClient } from '@roundsman/db'
import type { JobsClient } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { unknownInvoice } from './findInvoice.ts'
import { findInvoicePdf } from './findInvoicePdf.ts'
import { requestInvoicePdf } from './invoicePdf.ts'
import { lockInvoice } from './writeInvoice.ts'
import { transact } from '../http/transact.ts'

const idParams = z.strictObject({ id: z.guid() })

const failureSchema = problemSchema.extend({
  code: z.string().describe('The code of the error that ended the last attempt'),
})

/** Routes to ask for an invoice's PDF, which a worker renders, and to fetch it. */
export const invoicePdfRoutes: FastifyPluginAsyncZod<{
  prisma: PrismaClient
  jobsClient: JobsClient
}> = async (app, { prisma, jobsClient }) => {
  app.post(
    '/api/invoices/:id/pdf',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['invoices'],
        summary: 'Ask for the PDF of an invoice',
        description:
          'Requests the PDF of the present version. Asking again changes nothing while it waits, is being rendered or is ready. After rendering has failed for good, it is tried again.',
        security: [{ accessToken: [] }],
        params: idParams,
        response: {
          202: z.object({
            jobId: z.guid().describe('The id of the work; each of its runs has it as workId'),
            statusUrl: z.string().describe('The path from which to fetch the PDF'),
          }),
          ...problemResponses(400, 401, 403, 404, 503),
        },
      },
    },
    async ({ id: requestId, params: { id }, caller, log }, reply) => {
      const { version, workId } = await transact(prisma, async (tx) => {
        const invoice = await lockInvoice(tx, id)
        if (!invoice) throw unknownInvoice()
        const wanted = { invoiceId: id, version: invoice.version }
        return { ...wanted, ...(await requestInvoicePdf(tx, jobsClient, wanted, requestId)) }
      })
      log.info({ invoiceId: id, version, workId, userId: caller.id }, 'invoice PDF requested')
      const statusUrl = `/api/invoices/${id}/pdf`
      return reply.code(202).send({ jobId: workId, statusUrl })
    },
  )

  app.get(
    '/api/invoices/:id/pdf',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['invoices'],
        summary: 'Fetch the PDF of an invoice',
        description:
          'Accepts If-None-Match. While the PDF is not ready, Retry-After says in how many seconds to ask again.',
        security: [{ accessToken: [] }],
        params: idParams,
        response: {
          200: {
            description: 'The PDF of the present version',
            content: {
              'application/pdf': {
                schema: z.custom<Uint8Array>().meta({ type: 'string', format: 'binary' }),
              },
            },
          },
          202: z.object({ state: z.enum(['waiting', 'running']) }),
          304: z.null().describe('The PDF has not changed since the one named in If-None-Match'),
          ...problemResponses(400, 401, 403, 404),
          ...describeProblems(failureSchema, [409]),
        },
      },
    },
    async ({ params: { id }, headers }, reply) => {
      const found = await findInvoicePdf(prisma, jobsClient, id, {
        isKnown: (version) => matchesEntityTag(headers['if-none-match'], toEntityTag(version)),
      })
      switch (found.kind) {
        case 'ready':
        case 'known':
          // Unlike other answers a browser may keep this one, but has to ask each time whether it is still current.
          reply
            .header('cache-control', 'private, no-cache')
            .header('etag', toEntityTag(found.version))
          if (found.kind === 'known') return reply.code(304).send(null)
          return reply
            .type('application/pdf')
            .header('content-disposition', toDisposition(found.number))
            .send(found.pdf)
        case 'waiting':
        case 'running': {
          const { kind: state, retryAfterSeconds } = found
          return reply.code(202).header('retry-after', retryAfterSeconds).send({ state })
        }
        case 'failed':
          throw new Problem(409, {
            detail: 'The PDF could not be rendered; ask for it again once the cause is gone',
            extensions: { code: found.errorCode },
          })
        case 'outdated':
          throw new Problem(404, {
            detail:
              'The invoice was changed after its PDF was asked for; ask for it again with POST',
          })
        case 'none':
          throw new Problem(404, {
            detail: 'Nobody has asked for the PDF of this invoice; ask for it with POST',
          })
        case 'notFound':
          throw unknownInvoice()
        default:
          return found satisfies never
      }
    },
  )
}

function toEntityTag(version: number): string {
  return `"v${version}"`
}

/** Offers a file name that every system can store, and the whole number to clients that read RFC 8187. */
function toDisposition(number: string): string {
  const plain = number.replaceAll(/[^\w.-]+/g, '_').replaceAll(/^[._]+|[._]+$/g, '')
  const name = plain === '' ? 'invoice' : plain
  const full = number.replaceAll(/[/\\:*?"<>|]/g, '_')
  return `inline; filename="${name}.pdf"; filename*=UTF-8''${encode(`${full}.pdf`)}`
}

/** Encodes what RFC 8187 forbids and encodeURIComponent leaves as it is. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** Whether an If-None-Match names this tag, by the weak comparison of RFC 9110. */
function matchesEntityTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === tag)
}
