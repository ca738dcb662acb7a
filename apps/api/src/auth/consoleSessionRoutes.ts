import { Problem, problemResponses } from '@roundsman/admin/http'
import { Role, type PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { credentials, findUserByCredentials } from './findUserByCredentials.ts'
import { unauthorized } from './authentication.ts'
import { readSessionToken } from './sessions.ts'

const sessionSchema = z.object({
  user: z.object({ id: z.guid(), email: z.string(), role: z.enum(Role) }),
  csrfToken: z.string().describe('Send it in the header x-csrf-token with every change'),
})

/** Routes that log a browser in to the console, tell who is logged in, and log out. */
export const consoleSessionRoutes: FastifyPluginAsyncZod<{ prisma: PrismaClient }> = async (
  app,
  { prisma },
) => {
  app.post(
    '/api/console/session',
    {
      config: { isForAnyone: true },
      schema: {
        tags: ['console'],
        summary: 'Log in to the console',
        description: 'Sets a cookie that no script can read, valid for eight hours.',
        body: credentials,
        response: { 200: sessionSchema, ...problemResponses(400, 401, 403, 413, 415, 503) },
      },
    },
    async (request, reply) => {
      const user = await findUserByCredentials(prisma, request.body)
      if (user.role === 'staff') {
        throw new Problem(403, { detail: 'The console is for admins and owners' })
      }
      const session = app.issueSession(user.id)
      app.openSession(request, reply, session)
      return { user, csrfToken: app.csrfTokenOf(session.token) }
    },
  )

  app.get(
    '/api/console/session',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['console'],
        summary: 'Show who is logged in to the console',
        security: [{ session: [] }],
        response: { 200: sessionSchema, ...problemResponses(401, 403) },
      },
    },
    (request) => {
      const token = readSessionToken(request)
      if (token === undefined)
        throw unauthorized('This needs a console session; log in to the console')
      return { user: request.caller, csrfToken: app.csrfTokenOf(token) }
    },
  )

  app.delete(
    '/api/console/session',
    {
      schema: {
        tags: ['console'],
        summary: 'Log out of the console',
        response: { 204: z.null(), ...problemResponses(403) },
      },
    },
    async (_request, reply) => {
      app.closeSession(reply)
      return reply.code(204).send(null)
    },
  )
}
