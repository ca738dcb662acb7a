import { Readable } from 'node:stream'
import { Problem } from '@roundsman/admin'
import {
  answerFailure,
  answerProblem,
  containedLog,
  securedHeaders,
  toReadable,
  type Answer,
} from '@roundsman/admin/internal'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/** Answers every failure with a problem document (RFC 9457). */
export function answerError(
  error: FastifyError,
  { id, log }: FastifyRequest,
  reply: FastifyReply,
): void {
  const detail = DETAILS.get(error?.code)
  const failure = detail === undefined ? error : new Problem(error.statusCode ?? 400, { detail })
  sendAnswer(reply, answerFailure(failure, { id, log: containedLog(log) }))
}

/** Our own texts, since the framework's may quote the request. */
const DETAILS = new Map(
  Object.entries({
    FST_ERR_BAD_URL: 'The address is not properly percent-encoded',
    FST_ERR_CTP_BODY_TOO_LARGE: 'The body is too large',
    FST_ERR_CTP_EMPTY_JSON_BODY: 'The content type is JSON but the body is empty',
    FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as the header content-length says',
    FST_ERR_CTP_INVALID_JSON_BODY: 'The body is not valid JSON',
    FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The content type of the body must be application/json',
    FST_ERR_MAX_PARAM_LENGTH: 'A part of the address is too long',
  }),
)

export function sendProblem(reply: FastifyReply, problem: Problem): void {
  sendAnswer(reply, answerProblem(problem, reply.request.id))
}

export function sendAnswer(reply: FastifyReply, answer: Answer): void {
  const { status, body } = answer
  reply.code(status).headers(securedHeaders(answer, (name) => reply.hasHeader(name)))
  // Without a stream, Fastify would send a length of 0 for HEAD.
  if (body === null) void reply.send(reply.request.method === 'HEAD' ? Readable.from([]) : null)
  else void reply.send(body instanceof ReadableStream ? toReadable(body) : body)
}
