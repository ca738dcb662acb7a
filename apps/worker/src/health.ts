import Fastify, { type FastifyInstance } from 'fastify'

/**
 * The worker's own small server, for whoever watches the process: it is live while it answers, and ready
 * while it can work.
 */
export function buildHealth({ isReady }: { isReady: () => boolean }): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true })
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.get('/health/ready', async (_request, reply) => {
    if (isReady()) return { status: 'ok' }
    return reply.code(503).send({ status: 'unavailable' })
  })
  return app
}
