import { scryptSync, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Agent } from '@prisma/client'
import { prisma } from './prisma'

export function hashPassword(password: string): string {
  return scryptSync(password, process.env.SESSION_SECRET ?? '', 32).toString('hex')
}

/** Who is logged in, by a signed cookie. */
export async function findAgent(request: FastifyRequest): Promise<Agent | null> {
  const cookie = request.cookies['agent']
  const { valid, value } = cookie ? request.unsignCookie(cookie) : { valid: false, value: null }
  if (!valid || value === null) return null
  return await prisma.agent.findUnique({ where: { id: Number(value) } })
}

export async function requireAgent(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if ((await findAgent(request)) === null) await reply.code(401).send({ message: 'Log in first' })
}

export async function sessionRoutes(app: FastifyInstance): Promise<void> {
  app.post<{ Body: { email: string; password: string } }>('/login', async (request, reply) => {
    const { email, password } = request.body
    const agent = await prisma.agent.findUnique({ where: { email } })
    const given = Buffer.from(hashPassword(password))
    if (agent === null || !timingSafeEqual(given, Buffer.from(agent.password))) {
      return await reply.code(401).send({ message: 'Wrong address or password' })
    }
    const options = { signed: true, httpOnly: true, sameSite: 'lax', path: '/' } as const
    return await reply.setCookie('agent', String(agent.id), options).send({ email })
  })
}
