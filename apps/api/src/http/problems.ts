import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { invalidRequest, Problem, problemDocument } from '@roundsman/admin/http'
import { answerError as answerAnyError, sendProblem } from '@roundsman/fastify/http'

/** The answers of each connection that have not ended. */
const underWay = new WeakMap<Socket, Set<ServerResponse>>()

/** Answers every failure with a problem document (RFC 9457), also where no route matches. */
export const problems = fastifyPlugin(async (app) => {
  app.setErrorHandler(answerError)
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.headers.host === undefined && raw.httpVersion === '1.1') {
      throw new Problem(400, { detail: 'The header Host is missing' })
    }
  })
  // Node would refuse an unknown Expect header with an empty answer. RFC 9110 (10.1.1) also allows to ignore it.
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

/** Answers a request that failed. What a schema refused is named place by place. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const refused = hasZodFastifySchemaValidationErrors(error) ? toValidationProblem(error) : error
  answerAnyError(refused as FastifyError, request, reply)
}

/** Answers what Node could not read as HTTP. There is no request and no reply yet, only the connection. */
export function answerClientError(error: ConnectionError, socket: Socket): void {
  // After a reset nobody is there to read an answer, and into the middle of an answer none can be written.
  const isAnswering = [...(underWay.get(socket) ?? [])].some(({ headersSent }) => headersSent)
  if (error.code !== 'ECONNRESET' && socket.writable && !isAnswering) {
    const status = CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400
    const detail =
      status === 408 ? 'The request took too long to arrive' : 'The request is not valid HTTP'
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

/** Turns what a schema refused into a 400 that names each place in the request. */
function toValidationProblem(
  error: Pick<FastifyError, 'validation' | 'validationContext'>,
): Problem {
  const place =
    error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request')
  const errors = (error.validation ?? []).flatMap(
    ({ instancePath, message = 'is not valid', params }) => {
      const path = [place, ...instancePath.split('/').filter((part) => part !== '')]
      // zod names the object that has unknown keys; the caller needs the path of each key.
      const keys = Array.isArray(params['keys']) ? (params['keys'] as string[]) : undefined
      return (
        keys?.map((key) => ({
          path: [...path, key].join('.'),
          message: 'is unknown; leave it out',
        })) ?? [{ path: path.join('.'), message }]
      )
    },
  )
  return invalidRequest(errors)
}
