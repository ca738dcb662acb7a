import { ArgumentError } from '@roundsman/engine'
import type { z } from 'zod'
import { isRefusal } from '../access.ts'
import type { RouteLog } from '../route.ts'
import { invalidRequest, Problem, problemDocument, toRequestErrors } from './problem.ts'

/** The answer of a server of any kind. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null
}

/** Thrown for a request that does not match its route's schema. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
  readonly place: string
  readonly issues: readonly z.core.$ZodIssue[]

  /** `place` is the part of the request: `body`, `query`, `params` or `headers`. */
  constructor(place: string, issues: readonly z.core.$ZodIssue[]) {
    super('The request does not match its schema')
    this.place = place
    this.issues = issues
  }
}

/** Sent with each answer of each server. The console needs only its own files and API. */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; object-src 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

/** `isSet`: whether the host has set a header itself, which then stays. */
export function securedHeaders(
  { headers }: Answer,
  isSet: (name: string) => boolean = () => false,
): Record<string, string> {
  const added = Object.entries(SECURITY_HEADERS).filter(([name]) => !isSet(name))
  return { ...Object.fromEntries(added), ...headers }
}

/** The failed request: its id, and its log. */
interface Failed {
  id: string
  log: RouteLog
}

/** Answers any failure with a problem document (RFC 9457), and logs it. Never throws. */
export function answerFailure(error: unknown, { id, log }: Failed): Answer {
  try {
    const problem = toProblem(error)
    const answer = answerProblem(problem, id)
    if (error instanceof Problem || problem.statusCode < 500) {
      // As debug: probes request health every few seconds, and a refusal is not a failure. Without the message: a JSON syntax
      // error quotes the body, and with it a password.
      log.debug({ statusCode: problem.statusCode, ...codeOf(error) }, 'request refused')
    } else {
      log.error({ err: error }, 'request failed')
    }
    return answer
  } catch (unreadable) {
    log.error({ err: error }, 'request failed')
    return answerBroken(unreadable, { id, log })
  }
}

/** The last resort if no other answer can be made or sent. It does not read the error, which might throw again. */
export function answerBroken(error: unknown, { id, log }: Failed): Answer {
  log.error({ err: error }, 'the answer could not be sent')
  return answerProblem(new Problem(500, { detail: SERVER_FAILED }), id)
}

const SERVER_FAILED =
  'The server failed; its log has the error under the id in the header x-request-id'

/** `id` is the request's id, by which its log lines are found. */
export function answerProblem(
  { statusCode, message, headers, extensions }: Problem,
  id: string,
): Answer {
  const text = JSON.stringify(problemDocument(statusCode, message, extensions))
  return answerText(statusCode, 'application/problem+json; charset=utf-8', text, {
    // A host may take the id from any source.
    ...(/^[\x21-\x7e]+$/.test(id) && { 'x-request-id': id }),
    ...headers,
  })
}

export function answerText(
  status: number,
  type: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Answer {
  const length = String(Buffer.byteLength(body))
  return { status, headers: { ...headers, 'content-type': type, 'content-length': length }, body }
}

function codeOf(error: unknown): { code?: unknown } {
  return error instanceof Error && 'code' in error ? { code: error.code } : {}
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof SchemaMismatch)
    return invalidRequest(toRequestErrors([error.place], error.issues))
  // The engine checks more than the routes' schemas.
  if (error instanceof ArgumentError)
    return invalidRequest([{ path: error.argument, message: error.message }])
  // The refusal of the host's log-in.
  if (isRefusal(error) && error.message !== '') {
    const { headers } = error as { headers?: Record<string, string> }
    return new Problem(error.statusCode, { detail: error.message, ...(headers && { headers }) })
  }
  const { statusCode: status = 500 } = (error ?? {}) as { statusCode?: number }
  if (status >= 400 && status < 500) {
    return new Problem(status, {
      detail:
        error instanceof SyntaxError
          ? 'The body is not valid JSON'
          : 'The server cannot read this request',
    })
  }
  return new Problem(500, { detail: SERVER_FAILED })
}
