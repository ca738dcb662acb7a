import { scryptSync } from 'node:crypto'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { storage } from '@tideworks/storage'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface Session {
    harbourmaster?: { name: string; isChief: boolean }
  }
}

const secret = process.env['SESSION_SECRET'] ?? ''

export function hashPassword(password: string): string {
  return scryptSync(password, secret, 32).toString('hex')
}

/** Sessions of the harbourmasters, for the whole app. */
export async function addLogIn(app: FastifyInstance): Promise<void> {
  await app.register(cookie)
  await app.register(session, { secret, cookie: { secure: false, sameSite: 'lax' } })
  app.post<{ Body: { name: string; password: string } }>('/login', async (request, reply) => {
    const { name, password } = request.body
    const found = await storage.harbourmaster.findUnique({ where: { name } })
    if (found?.password !== hashPassword(password)) return await reply.code(401).send({})
    request.session.harbourmaster = { name, isChief: found.isChief }
    return { name }
  })
}
