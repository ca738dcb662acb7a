import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { earlierSchema } from '../contract.ts'

export interface ProblemOptions {
  /** For a person: the error and the remedy. Never anything internal. */
  detail: string
  headers?: Record<string, string>
  /** More fields of the answer, for programs. */
  extensions?: Record<string, unknown>
}

/** Thrown by a route or a hook to answer the request with this status and a problem document. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly statusCode: number
  readonly headers: Record<string, string>
  readonly extensions: Record<string, unknown>

  /** @throws TypeError or RangeError if the status or a header cannot be sent */
  constructor(statusCode: number, options: ProblemOptions) {
    super(options.detail)
    if (!Number.isInteger(statusCode) || statusCode < 400 || statusCode > 599)
      throw new RangeError(`The status of a problem is from 400 to 599, not ${statusCode}`)
    this.statusCode = statusCode
    this.headers = {}
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
      if (!OF_A_MESSAGE.test(name)) this.headers[name.toLowerCase()] = value
    }
    this.extensions = options.extensions ?? {}
  }
}

/** Headers that belong to another body or connection: an error of an HTTP client may have them. */
const OF_A_MESSAGE =
  /^(content-(length|type|encoding|range)|transfer-encoding|connection|keep-alive|trailer|upgrade)$/i

/** An error in a part of the request: its place, such as `body.lines.3.quantity`, and the remedy. */
export interface RequestError {
  path: string
  message: string
}

/** Converts the issues of a schema about the part of the request at `place`. */
export function toRequestErrors(
  place: readonly string[],
  issues: readonly { path: readonly PropertyKey[]; message: string; keys?: readonly string[] }[],
): RequestError[] {
  return issues.flatMap(({ path, message, keys }) => {
    const where = [...place, ...path.map(String)]
    // Zod reports an unknown key at its parent; the key's own path is more precise.
    return (
      keys?.map((key) => ({
        path: [...where, key].join('.'),
        message: 'is unknown; leave it out',
      })) ?? [{ path: where.join('.'), message }]
    )
  })
}

/** Maximum of errors in an answer: a body of thousands of lines may have an error in each. */
const MAX_ERRORS = 100

/** The answer to a request that does not match its schema, or a rule beyond the schema. */
export function invalidRequest(errors: readonly RequestError[]): Problem {
  return new Problem(400, {
    detail: 'The request is not valid; errors says what is wrong and where',
    extensions: { errors: errors.slice(0, MAX_ERRORS) },
  })
}

export const problemSchema = z
  .object({
    type: z.string().describe('Always about:blank: the status tells the kind of problem'),
    title: z.string().describe('The name of the status'),
    status: z.int().min(400).max(599),
    detail: z.string().describe('What went wrong, and what to do about it, for people'),
    code: z
      .string()
      .optional()
      .describe('Which problem it is, for programs, where a status has several: ended_workers'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe(
        'Only when the request is not valid: the first 100 problems, each with its place in the request',
      ),
    earlier: earlierSchema.describe(
      'Only when somebody else was faster: what they did, who, when and why',
    ),
  })
  .describe('Problem document (RFC 9457)')

/** The body of a problem answer (RFC 9457). */
export function problemDocument(
  status: number,
  detail: string,
  extensions: Record<string, unknown> = {},
): z.output<typeof problemSchema> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...extensions,
  }
}

type ProblemStatus = 400 | 401 | 403 | 404 | 409 | 410 | 413 | 414 | 415 | 431 | 500 | 503

/** The entries for problems in a route's response schema. It adds 500, since every route may fail. */
export function problemResponses<Status extends ProblemStatus>(...statuses: Status[]) {
  return describeProblems<Status | 500>(problemSchema, [...statuses, 500])
}

/** Like `problemResponses`, for problem answers with extra fields. */
export function describeProblems<Status extends ProblemStatus>(
  schema: z.ZodObject,
  statuses: Status[],
) {
  const responses = statuses.map((status) => [
    status,
    {
      description: STATUS_CODES[status] ?? '',
      content: { 'application/problem+json': { schema } },
    },
  ])
  return Object.fromEntries(responses) as Record<
    Status,
    { description: string; content: { 'application/problem+json': { schema: z.ZodObject } } }
  >
}
