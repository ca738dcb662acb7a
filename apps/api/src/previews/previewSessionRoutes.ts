import { Problem, instant, problemResponses, storableText } from '@roundsman/admin/http'
import type { PrismaClient } from '@roundsman/db'
import { emit } from '@roundsman/jobs/hooks'
import type { JobsClient } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { hashPreviewToken } from './hashPreviewToken.ts'
import { transact } from '../http/transact.ts'

const TOKEN_BYTES = 32
const LONGEST_TTL_SECONDS = 30 * 24 * 60 * 60

const createBody = z
  .strictObject({
    label: storableText({ max: 200 }).describe('For whom or for what the preview is'),
    ttlSeconds: z.int().min(1).max(LONGEST_TTL_SECONDS).optional(),
    expiresAt: instant.optional().describe('May be in the past, for imports'),
  })
  .refine((body) => (body.ttlSeconds === undefined) !== (body.expiresAt === undefined), {
    error: 'needs exactly one of ttlSeconds and expiresAt',
  })

/** Routes to make and revoke links under which a customer sees unpublished content for a while. */
export const previewSessionRoutes: FastifyPluginAsyncZod<{
  prisma: PrismaClient
  jobsClient: JobsClient
  now: () => Date
}> = async (app, { prisma, jobsClient, now }) => {
  app.post(
    '/api/preview-sessions',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['previews'],
        summary: 'Create a preview session',
        description:
          'Takes exactly one of ttlSeconds and expiresAt. The token is shown here and never again.',
        security: [{ accessToken: [] }],
        body: createBody,
        response: {
          201: z.object({ id: z.guid(), token: z.string(), expiresAt: z.iso.datetime() }),
          ...problemResponses(400, 401, 403, 413, 415, 503),
        },
      },
    },
    async ({ body }, reply) => {
      const token = randomBytes(TOKEN_BYTES).toString('base64url')
      const createdAt = now()
      const expiresAt =
        body.expiresAt ?? new Date(createdAt.getTime() + (body.ttlSeconds ?? 0) * 1_000)
      const id = await transact(prisma, async (tx) => {
        const created = await tx.previewSession.create({
          data: { tokenHash: hashPreviewToken(token), label: body.label, expiresAt, createdAt },
          select: { id: true },
        })
        await emit(tx, jobsClient.enqueue, 'previewCreated', { previewSessionId: created.id })
        return created.id
      })
      return reply.code(201).send({ id, token, expiresAt: expiresAt.toISOString() })
    },
  )

  app.post(
    '/api/preview-sessions/:id/revoke',
    {
      onRequest: app.requireRole('staff'),
      schema: {
        tags: ['previews'],
        summary: 'Revoke a preview session',
        description: 'Its link stops working at once. Revoking it again changes nothing.',
        security: [{ accessToken: [] }],
        params: z.strictObject({ id: z.guid() }),
        response: {
          200: z.object({ id: z.guid(), revoked: z.literal(true) }),
          ...problemResponses(400, 401, 403, 404),
        },
      },
    },
    async ({ params: { id } }) => {
      const { count } = await prisma.previewSession.updateMany({
        where: { id },
        data: { revoked: true },
      })
      if (count === 0)
        throw new Problem(404, { detail: 'There is no preview session with this id' })
      return { id, revoked: true as const }
    },
  )
}
