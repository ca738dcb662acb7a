import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import { prisma } from './prisma'
import { sessionRoutes } from './session'
import { ticketRoutes } from './tickets'

export function buildApp(): FastifyInstance {
  const app = Fastify({ logger: true })
  app.register(cookie, { secret: process.env.SESSION_SECRET ?? '' })
  app.register(sessionRoutes)
  app.register(ticketRoutes)
  app.addHook('onClose', () => prisma.$disconnect())
  return app
}
