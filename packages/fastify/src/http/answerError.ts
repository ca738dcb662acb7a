import { QueueMissingError } from '@roundsman/engine/client'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { invalidRequest, Problem, problemDocument } from './problem.ts'
import { SchemaMismatch } from './zodRoutes.ts'

/** Every failure is answered with a problem document (RFC 9457). */
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
  sendProblem(reply, problem)
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
  if (error instanceof SchemaMismatch) return toInvalidRequest(error)
  // Not for a second attempt of the caller's to solve: somebody has to act, and this says how.
  if (error instanceof QueueMissingError) {
    return new Problem(503, {
      detail:
        'What this takes is not in the queue’s database yet: start a worker of this version once, which adds it',
    })
  }
  const status = error.statusCode ?? 500
  // What the host's own log-in says.
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
          : 'The request is not acceptable'),
    })
  }
  return new Problem(500, {
    detail: 'Something went wrong here; the log says what, under the id of this request',
  })
}

function toInvalidRequest({ validationContext, issues }: SchemaMismatch): Problem {
  const place = validationContext === 'querystring' ? 'query' : (validationContext ?? 'request')
  const errors = issues.flatMap(({ path, message, ...issue }) => {
    const where = [place, ...path.map(String)]
    // Unknown keys are reported where they should not be; their own paths are of more use.
    const keys = 'keys' in issue ? issue.keys : undefined
    return (
      keys?.map((key) => ({ path: [...where, key].join('.'), message: 'is not known here' })) ?? [
        { path: where.join('.'), message },
      ]
    )
  })
  return invalidRequest(errors)
}

export function sendProblem(
  reply: FastifyReply,
  { statusCode, message, headers, extensions }: Problem,
): void {
  // Serialized here: a route's own response schemas must not be able to turn a problem into another
  // one.
  void reply
    .code(statusCode)
    .headers({ 'x-request-id': reply.request.id, ...headers })
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemDocument(statusCode, message, extensions)))
}
