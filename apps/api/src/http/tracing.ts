import type { RequestTrace, Tracing } from '@roundsman/node-app/telemetry'
import type { FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Asked every few seconds by machines; their traces would be most of all, and say nothing. */
const UNTRACED = /^\/(health|metrics)\b/

/**
 * A span for each request, of which everything that it does is part, and the trace's id in its log lines. By hand,
 * because what is needed of it is short: see docs/adr/0011-observability.md.
 */
export const tracing = fastifyPlugin<{ tracing: Pick<Tracing, 'traceRequest'> }>(
  async (app, { tracing: { traceRequest } }) => {
    const traces = new WeakMap<FastifyRequest, RequestTrace>()

    app.addHook('onRequest', (request, reply, done) => {
      if (UNTRACED.test(request.url)) return done()
      const trace = traceRequest(request.method, request.headers)
      traces.set(request, trace)
      request.log = reply.log = request.log.child({ traceId: trace.traceId })
      trace.within(done)
    })
    // A body arrives in events of the connection, which is no part of any request.
    app.addHook('preValidation', (request, _reply, done) => {
      const trace = traces.get(request)
      if (trace) trace.within(done)
      else done()
    })
    app.addHook('onResponse', (request, reply, done) => {
      const { url: route } = request.routeOptions
      traces.get(request)?.ended({ route, statusCode: reply.statusCode })
      traces.delete(request)
      done()
    })
    app.addHook('onRequestAbort', (request, done) => {
      // Nobody waits for the answer any more, and no response will be there to end it.
      traces.get(request)?.ended({ route: request.routeOptions.url, statusCode: 499 })
      traces.delete(request)
      done()
    })
  },
)
