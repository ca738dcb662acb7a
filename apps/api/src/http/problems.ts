import { QueueMissingError } from '@roundsman/engine/client'
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { invalidRequest, Problem, problemDocument } from './problem.ts'

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
    send(reply, new Problem(404, { detail: 'There is nothing at this address' }))
  })
})

export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const problem = toProblem(error)
  if (error instanceof Problem) {
    // What a route has to say. Health is asked every few seconds, and its answer is no failure of the API.
    request.log.debug({ statusCode: problem.statusCode }, 'request refused')
  } else if (problem.statusCode >= 500) {
    request.log.error({ err: error }, 'request failed')
  } else {
    // Without the message: that of a JSON syntax error quotes the body, and with it a password.
    request.log.debug({ statusCode: problem.statusCode, code: error.code }, 'request refused')
  }
  send(reply, problem)
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

/** Our words for the framework's refusals, whose own may quote what was sent. */
const DETAILS: Record<string, string> = {
  FST_ERR_BAD_URL: 'The address is not properly percent-encoded',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is too large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The content type says JSON, and the body is empty',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as its content length says',
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is not valid JSON',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The body has to be application/json',
  FST_ERR_MAX_PARAM_LENGTH: 'A part of the address is too long',
}

function toProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error
  if (hasZodFastifySchemaValidationErrors(error)) return toValidationProblem(error)
  // Not for a second attempt of the caller's to solve: somebody has to act, and this says how.
  if (error instanceof QueueMissingError) {
    return new Problem(503, {
      detail:
        'What this takes is not in the queue’s database yet: start a worker of this version once, which adds it',
    })
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) {
    return new Problem(status, {
      detail:
        DETAILS[error.code] ??
        (error instanceof SyntaxError
          ? 'The body is not valid JSON'
          : 'The request is not acceptable'),
    })
  }
  return new Problem(500, {
    detail: 'Something went wrong here; the log says what, under the id of this request',
  })
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

function send(reply: FastifyReply, { statusCode, message, headers, extensions }: Problem): void {
  // Serialized here: a route's own response schemas must not be able to turn a problem into another
  // one.
  void reply
    .code(statusCode)
    .headers({ 'x-request-id': reply.request.id, ...headers })
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemDocument(statusCode, message, extensions)))
}
