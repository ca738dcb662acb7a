import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import {
  answerError as answerAnyError,
  invalidRequest,
  Problem,
  problemDocument,
  sendProblem,
} from '@roundsman/fastify/http'

/** The answers of each connection that have not come to their end. */
const underWay = new WeakMap<Socket, Set<ServerResponse>>()

/** Every failure is answered with a problem document (RFC 9457), also where no route was found. */
export const problems = fastifyPlugin(async (app) => {
  app.setErrorHandler(answerError)
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.headers.host === undefined && raw.httpVersion === '1.1') {
      throw new Problem(400, { detail: 'The header Host is missing' })
    }
  })
  // Node would refuse an expectation that it does not know, without content. To take no notice is allowed as
  // well (RFC 9110, 10.1.1).
  app.server.on('request', (request, response) => {
    const responses = underWay.get(request.socket) ?? new Set()
    underWay.set(request.socket, responses.add(response))
    response.once('close', () => responses.delete(response))
  })
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response)
  })
  app.setNotFoundHandler((_request, reply) => {
    sendProblem(reply, new Problem(404, { detail: 'There is nothing at this address' }))
  })
})

export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const refused = hasZodFastifySchemaValidationErrors(error) ? toValidationProblem(error) : error
  answerAnyError(refused as FastifyError, request, reply)
}

/**
 * What could not even be read as HTTP. There is no request and no reply yet, only the connection.
 */
export function answerClientError(error: ConnectionError, socket: Socket): void {
  // A reset has nobody to answer to; to a connection in the middle of an answer nothing can be
  // added.
  const isAnswering = [...(underWay.get(socket) ?? [])].some(({ headersSent }) => headersSent)
  if (error.code !== 'ECONNRESET' && socket.writable && !isAnswering) {
    const status = CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400
    const detail =
      status === 408 ? 'The request took too long to come' : 'The request is not valid HTTP'
    const body = JSON.stringify(problemDocument(status, detail))
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json; charset=utf-8\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

const CLIENT_ERROR_STATUS: Record<string, number> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
}

function toValidationProblem(
  error: Pick<FastifyError, 'validation' | 'validationContext'>,
): Problem {
  const place =
    error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request')
  const errors = (error.validation ?? []).flatMap(
    ({ instancePath, message = 'is not valid', params }) => {
      const path = [place, ...instancePath.split('/').filter((part) => part !== '')]
      // Unknown keys are reported where they should not be; their own paths are of more use.
      const keys = Array.isArray(params['keys']) ? (params['keys'] as string[]) : undefined
      return (
        keys?.map((key) => ({ path: [...path, key].join('.'), message: 'is not known here' })) ?? [
          { path: path.join('.'), message },
        ]
      )
    },
  )
  return invalidRequest(errors)
}
