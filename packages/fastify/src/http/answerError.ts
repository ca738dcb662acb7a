import { ArgumentError } from '@roundsman/engine'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { invalidRequest, Problem, problemDocument } from './problem.ts'
import { SchemaMismatch } from './zodRoutes.ts'

/** Answers every failure with a problem document (RFC 9457). */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const problem = toProblem(error)
  if (error instanceof Problem) {
    // A route refused on purpose. Logged as debug: probes ask for health every few seconds, and its answer is no failure.
    request.log.debug({ statusCode: problem.statusCode }, 'request refused')
  } else if (problem.statusCode >= 500) {
    request.log.error({ err: error }, 'request failed')
  } else {
    // Without the message: a JSON syntax error quotes the body, and with it a password.
    request.log.debug({ statusCode: problem.statusCode, code: error.code }, 'request refused')
  }
  sendProblem(reply, problem)
}

/** Our own texts, since the framework's may quote what was sent. */
const DETAILS: Record<string, string> = {
  FST_ERR_BAD_URL: 'The address is not properly percent-encoded',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is too large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The content type is JSON but the body is empty',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as the header content-length says',
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is not valid JSON',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The content type of the body must be application/json',
  FST_ERR_MAX_PARAM_LENGTH: 'A part of the address is too long',
}

function toProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error
  if (error instanceof SchemaMismatch) return toInvalidRequest(error)
  // The engine checks what the routes' schemas let through.
  if (error instanceof ArgumentError)
    return invalidRequest([{ path: error.argument, message: error.message }])
  const status = error.statusCode ?? 500
  // The refusal of the host's own log-in.
  if ((status === 401 || status === 403) && error.message !== '') {
    const { headers } = error as { headers?: Record<string, string> }
    return new Problem(status, { detail: error.message, ...(headers && { headers }) })
  }
  if (status >= 400 && status < 500) {
    return new Problem(status, {
      detail:
        DETAILS[error.code] ??
        (error instanceof SyntaxError
          ? 'The body is not valid JSON'
          : 'The server cannot read this request'),
    })
  }
  return new Problem(500, {
    detail: 'The server failed; its log has the error under the id in the header x-request-id',
  })
}

function toInvalidRequest({ validationContext, issues }: SchemaMismatch): Problem {
  const place = validationContext === 'querystring' ? 'query' : (validationContext ?? 'request')
  const errors = issues.flatMap(({ path, message, ...issue }) => {
    const where = [place, ...path.map(String)]
    // Zod reports an unknown key at its parent: its own path says more.
    const keys = 'keys' in issue ? issue.keys : undefined
    return (
      keys?.map((key) => ({
        path: [...where, key].join('.'),
        message: 'is unknown; leave it out',
      })) ?? [{ path: where.join('.'), message }]
    )
  })
  return invalidRequest(errors)
}

export function sendProblem(
  reply: FastifyReply,
  { statusCode, message, headers, extensions }: Problem,
): void {
  // Serialized here: with the route's response schema, Fastify could turn one problem into another.
  void reply
    .code(statusCode)
    .headers({ 'x-request-id': reply.request.id, ...headers })
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemDocument(statusCode, message, extensions)))
}
