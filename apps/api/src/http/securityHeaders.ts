import fastifyPlugin from 'fastify-plugin'
import helmet from 'helmet'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Helmet's headers on every answer. They are always the same, so it is asked for them once. */
export const securityHeaders = fastifyPlugin(async (app) => {
  const headers = readHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
})

function readHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  const response: Pick<ServerResponse, 'setHeader' | 'removeHeader'> = {
    setHeader(name, value) {
      headers[name.toLowerCase()] = String(value)
      return response as ServerResponse
    },
    removeHeader: () => undefined,
  }
  const protect = helmet({
    // The same as by default, but for upgrade-insecure-requests: it would break a start without TLS.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  })
  protect({} as IncomingMessage, response as ServerResponse, () => undefined)
  return headers
}
