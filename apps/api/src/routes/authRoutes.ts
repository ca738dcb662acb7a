import { Role, verifyPassword, type PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { unauthorized } from '../plugins/authentication.ts'
import { problemResponses } from '../problem.ts'

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
        body: z.strictObject({
          email: z.email().max(254),
          // A hash is made of all of it: without a limit, long ones would keep the machine busy.
          password: z.string().min(1).max(200),
        }),
        response: {
          200: z.object({
            token: z.string(),
            user: z.object({ id: z.guid(), email: z.string(), role: z.enum(Role) }),
          }),
          ...problemResponses(400, 401, 413, 415),
        },
      },
    },
    async ({ body }) => {
      // E-mails are stored in lower case.
      const user = await prisma.user.findUnique({ where: { email: body.email.toLowerCase() } })
      const isRight = await verifyPassword(body.password, user?.passwordHash)
      if (!user || !isRight) throw unauthorized('E-mail or password is wrong')
      return {
        token: app.issueToken(user.id),
        user: { id: user.id, email: user.email, role: user.role },
      }
    },
  )
}
