import { createLogger, type CreateLoggerOptions } from '@roundsman/node-app'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

/** Makes the API's logger. Of a request it logs neither the URL nor the headers: both may carry tokens. */
export function createApiLogger(
  options: Pick<CreateLoggerOptions, 'level' | 'destination'>,
): Logger {
  return createLogger({
    ...options,
    app: 'api',
    options: {
      serializers: {
        req: describeRequest,
        res: (reply: FastifyReply) => ({ statusCode: reply.statusCode }),
      },
      redact: ['password', 'token', 'authorization', '*.password', '*.token', '*.authorization'],
    },
  })
}

function describeRequest(request: FastifyRequest) {
  return {
    method: request.method,
    /** The pattern, such as /api/public/preview/:token. Undefined when no route matched. */
    route: request.routeOptions?.url,
    remoteAddress: request.ip,
  }
}
