import { Histogram, mayScrape, type Metrics } from '@roundsman/node-app/telemetry'
import fastifyPlugin from 'fastify-plugin'
import { Problem, problemResponses } from '@roundsman/admin/http'
import { z } from 'zod'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Set on routes that answer for as long as somebody listens: how long they took says nothing, and is not counted.
     */
    isEndless?: boolean
  }
}

export interface MetricsOptions {
  metrics: Metrics
  /** A scrape has to send it, because this address is as public as the application. */
  token: string
}

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Measures how long requests take, by route, and serves all metrics to a scrape. */
export const metrics = fastifyPlugin<MetricsOptions>(async (app, { metrics: own, token }) => {
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took, from their arrival to the end of the answer, by route pattern.',
    labelNames: ['method', 'route', 'status_code'],
    buckets: BUCKETS,
    registers: [own.registry],
  })

  app.addHook('onResponse', (request, reply, done) => {
    const { url, config } = request.routeOptions
    if (config.isEndless !== true) {
      // Never the address: each new one would add a time series.
      const labels = {
        method: request.method,
        route: url ?? 'none',
        status_code: reply.statusCode,
      }
      durations.observe(labels, reply.elapsedTime / 1_000)
    }
    done()
  })

  app.get(
    '/metrics',
    {
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'Metrics for Prometheus',
        description: 'Send METRICS_TOKEN as a bearer token.',
        response: {
          200: z.unknown().describe('text/plain, in the text format of Prometheus'),
          ...problemResponses(401),
        },
      },
    },
    async (request, reply) => {
      if (!mayScrape(request.headers.authorization, token)) {
        throw new Problem(401, {
          detail: 'Send METRICS_TOKEN as a bearer token to read the metrics',
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      const text = await own.render()
      return reply.header('cache-control', 'no-store').type(own.contentType).send(text)
    },
  )
})
