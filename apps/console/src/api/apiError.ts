import type { Earlier } from '@roundsman/admin/contract'

export type ApiErrorKind =
  /** No answer came, or one from something between us and the server. */
  | 'unreachable'
  /** Not logged in, or no longer. */
  | 'unauthorized'
  /** Logged in, but not allowed. */
  | 'forbidden'
  /** The server understood the request and does not accept it as it is. */
  | 'refused'
  /** The server's own fault. */
  | 'failed'

export interface ApiIssue {
  /** Where in the request: `body.payload.invoiceId`. */
  path: string
  message: string
}

export interface ApiErrorOptions {
  status: number | null
  title: string
  detail: string
  issues?: ApiIssue[]
  earlier?: Earlier | null
  cause?: unknown
}

/** The failure of any request of the console. People are shown its title and detail. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly kind: ApiErrorKind
  readonly status: number | null
  readonly title: string
  readonly detail: string
  readonly issues: ApiIssue[]
  readonly earlier: Earlier | null

  constructor(options: ApiErrorOptions) {
    super(options.detail, { cause: options.cause })
    this.kind = kindOf(options.status)
    this.status = options.status
    this.title = options.title
    this.detail = options.detail
    this.issues = options.issues ?? []
    this.earlier = options.earlier ?? null
  }
}

/** The error for a request without an answer. */
export function unreachable(cause: unknown): ApiError {
  return new ApiError({
    status: null,
    title: 'The server cannot be reached',
    detail: 'No answer came. It may be restarting, or the network may be down.',
    cause,
  })
}

/** Reads an answer that is not 2xx: a problem document (RFC 9457), or what something on the way wrote. */
export function toApiError(status: number, contentType: string | null, body: string): ApiError {
  const problem = contentType?.includes('application/problem+json') ? parse(body) : undefined
  return new ApiError({
    status,
    title:
      text(problem?.['title']) ?? (kindOf(status) === 'unreachable' ? 'Not available' : 'Error'),
    detail: text(problem?.['detail']) ?? `The server answered with status ${status}.`,
    earlier: readEarlier(problem?.['earlier']),
    issues: Array.isArray(problem?.['errors']) ? problem['errors'].flatMap(issue) : [],
  })
}

/** Turns anything thrown into an error that can be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return new ApiError({
    status: 500,
    title: 'Something went wrong here',
    detail: error instanceof Error ? error.message : String(error),
    cause: error,
  })
}

function kindOf(status: number | null): ApiErrorKind {
  if (status === null || status === 502 || status === 503 || status === 504) return 'unreachable'
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  return status >= 400 && status < 500 ? 'refused' : 'failed'
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function readEarlier(value: unknown): Earlier | null {
  const { at, action, actor, reason } = (value ?? {}) as Record<string, unknown>
  if (typeof at !== 'string' || typeof action !== 'string' || typeof actor !== 'string') return null
  return { at, action, actor, reason: typeof reason === 'string' ? reason : null }
}

function issue(value: unknown): ApiIssue[] {
  const { path, message } = (value ?? {}) as { path?: unknown; message?: unknown }
  return typeof path === 'string' && typeof message === 'string' ? [{ path, message }] : []
}
