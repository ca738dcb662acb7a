import {
  isLoopback,
  noSchemaCompilers,
  serverTimeouts,
  type ServerTimeoutOptions,
} from '@roundsman/node-app'
import { mayScrape, type Metrics } from '@roundsman/node-app/telemetry'
import Fastify, { type FastifyInstance } from 'fastify'

export interface HealthOptions {
  isReady: () => boolean
  metrics: Pick<Metrics, 'render' | 'contentType'>
  /** A scrape has to send it. Without it, only this machine may scrape. */
  metricsToken: string | undefined
  /** The address on which the server listens. */
  host: string
  /** How slow requests and how silent connections may be. Default: as in serverTimeouts. */
  timeouts?: ServerTimeoutOptions
}

/**
 * Builds the worker's own small server, for whoever watches the process: live while it answers, ready while it can
 * work.
 */
export function buildHealth(options: HealthOptions): FastifyInstance {
  const { isReady, metrics, metricsToken, host, timeouts } = options
  const app = Fastify({
    ...serverTimeouts(timeouts),
    logger: false,
    forceCloseConnections: true,
    schemaController: noSchemaCompilers,
  })
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.get('/health/ready', async (_request, reply) => {
    if (isReady()) return { status: 'ok' }
    return reply.code(503).send({ status: 'unavailable' })
  })
  // Some hosts make every port public on which somebody listens.
  if (metricsToken !== undefined || isLoopback(host)) {
    app.get('/metrics', async (request, reply) => {
      if (metricsToken !== undefined && !mayScrape(request.headers.authorization, metricsToken)) {
        return reply.code(401).header('www-authenticate', 'Bearer').send({ status: 'unauthorized' })
      }
      return reply.type(metrics.contentType).send(await metrics.render())
    })
  }
  return app
}
