import type { RequestTrace, Tracing } from '@roundsman/node-app/telemetry'
import type { FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** Machines ask for these every few seconds: their spans would outnumber all others and tell nothing. */
const UNTRACED = /^\/(health|metrics)\b/

/**
 * Opens a span for each request, to which belongs all that the request does, and puts the trace's id into its log
 * lines. docs/adr/0011-observability.md says why it is written by hand.
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
    // The body came in events of the connection, outside the span: enter the span again.
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
      // The client has gone, and no response will end the span.
      traces.get(request)?.ended({ route: request.routeOptions.url, statusCode: 499 })
      traces.delete(request)
      done()
    })
  },
)
