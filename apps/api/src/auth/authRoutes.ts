import { problemResponses } from '@roundsman/admin/http'
import { Role, type PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { credentials, findUserByCredentials } from './findUserByCredentials.ts'

/** The route to log in to the API, for programs. Browsers log in by consoleSessionRoutes. */
export const authRoutes: FastifyPluginAsyncZod<{ prisma: PrismaClient }> = async (
  app,
  { prisma },
) => {
  app.post(
    '/api/auth/login',
    {
      config: { isForAnyone: true },
      schema: {
        tags: ['auth'],
        summary: 'Log in',
        description: 'The token is valid for 15 minutes.',
        body: credentials,
        response: {
          200: z.object({
            token: z.string(),
            user: z.object({ id: z.guid(), email: z.string(), role: z.enum(Role) }),
          }),
          ...problemResponses(400, 401, 413, 415, 503),
        },
      },
    },
    async ({ body }) => {
      const user = await findUserByCredentials(prisma, body)
      return { token: app.issueToken(user.id), user }
    },
  )
}
