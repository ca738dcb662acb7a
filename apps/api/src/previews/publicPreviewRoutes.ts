import { Problem, describeProblems, problemResponses, problemSchema } from '@roundsman/admin/http'
import type { PreviewSession, PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { hashPreviewToken } from './hashPreviewToken.ts'

const REFUSALS = {
  expired: { status: 410, detail: 'This preview has expired' },
  revoked: { status: 410, detail: 'This preview was revoked' },
  unknown: { status: 404, detail: 'There is no preview with this token' },
} as const

type Refusal = keyof typeof REFUSALS

const refusalSchema = problemSchema.extend({
  valid: z.literal(false),
  reason: z.enum(Object.keys(REFUSALS) as Refusal[]),
})

/** The route that the host product asks before it shows a preview to whoever holds the link. */
export const publicPreviewRoutes: FastifyPluginAsyncZod<{
  prisma: PrismaClient
  now: () => Date
}> = async (app, { prisma, now }) => {
  app.get(
    '/api/public/preview/:token',
    {
      schema: {
        tags: ['previews'],
        summary: 'Validate a preview token',
        params: z.strictObject({ token: z.string() }),
        response: {
          200: z.object({ valid: z.literal(true), label: z.string(), expiresAt: z.iso.datetime() }),
          ...problemResponses(),
          ...describeProblems(refusalSchema, [404, 410]),
        },
      },
    },
    async ({ params: { token } }) => {
      const session = await prisma.previewSession.findUnique({
        where: { tokenHash: hashPreviewToken(token) },
      })
      if (!session) throw refuse('unknown')
      const refusal = findRefusal(session, now())
      if (refusal) throw refuse(refusal)
      return {
        valid: true as const,
        label: session.label,
        expiresAt: session.expiresAt.toISOString(),
      }
    },
  )
}

/**
 * Why a session shows nothing any more. The date decides as well as the status, which only the clean-up changes, later.
 */
function findRefusal(session: PreviewSession, now: Date): 'revoked' | 'expired' | undefined {
  if (session.revoked) return 'revoked'
  if (session.expiresAt <= now || session.status !== 'active') return 'expired'
  return undefined
}

function refuse(reason: Refusal): Problem {
  const { status, detail } = REFUSALS[reason]
  return new Problem(status, { detail, extensions: { valid: false, reason } })
}
