import type { Clock } from '../time/createClock.ts'
import { ApiError, toApiError, unreachable } from './apiError.ts'
import type { Reachability } from './createReachability.ts'

export interface Api {
  /** Default of `timeoutMs`: 20,000. */
  get<Answer>(path: string, signal?: AbortSignal, timeoutMs?: number): Promise<Answer>
  /** Sends the session's CSRF token, without which the server changes nothing. */
  change<Answer>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<Answer>
  setCsrfToken(token: string | null): void
}

export interface ApiDependencies {
  /** The beginning of every path, such as `/api`. */
  prefix: string
  reachability: Reachability
  clock: Clock
}

/** Longer than any answer takes: a server that hangs is noticed like one that is gone. */
const TIMEOUT_MS = 20_000

/** A part `.` or `..`. Browsers remove it, also if it is encoded, and the address would be that of another route. */
const LEAVES_ITS_ROUTE = /\/\.\.?(?:[/?]|$)/

/**
 * Sends requests to our own origin with the session's cookie, and throws an `ApiError` whatever goes wrong. Each answer
 * also tells whether the server is reached, and sets the clock.
 */
export function createApi({ prefix, reachability, clock }: ApiDependencies): Api {
  let csrfToken: string | null = null

  async function send<Answer>(
    path: string,
    init: RequestInit,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Answer> {
    if (LEAVES_ITS_ROUTE.test(path))
      throw new ApiError({ status: 404, title: 'Not found', detail: 'No name is "." or ".."' })
    const { response, body } = await exchange(path, init, timeoutMs)
    adjustClock(response)
    if (!response.ok) {
      throw toApiError(response.status, response.headers.get('content-type'), body)
    }
    return (body === '' ? undefined : JSON.parse(body)) as Answer
  }

  async function exchange(
    path: string,
    init: RequestInit,
    timeoutMs: number,
  ): Promise<{ response: Response; body: string }> {
    const timeout = new AbortController()
    const timer = setTimeout(
      () => timeout.abort(new Error(`no answer in ${timeoutMs} ms`)),
      timeoutMs,
    )
    const signal = init.signal ? AbortSignal.any([init.signal, timeout.signal]) : timeout.signal
    try {
      const response = await fetch(prefix + path, { ...init, signal, credentials: 'same-origin' })
      const body = await response.text()
      if (toKind(response.status) === 'unreachable') reachability.lost()
      else reachability.reached()
      return { response, body }
    } catch (error) {
      // The caller gave the request up, which says nothing about the server.
      if (init.signal?.aborted) throw error
      reachability.lost()
      throw unreachable(error)
    } finally {
      clearTimeout(timer)
    }
  }

  function adjustClock(response: Response): void {
    const at = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(at)) clock.adjust(at)
  }

  return {
    get: (path, signal, timeoutMs) =>
      send(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) }, timeoutMs),
    change: (method, path, body) =>
      send(path, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(csrfToken !== null && { 'x-csrf-token': csrfToken }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    setCsrfToken(token) {
      csrfToken = token
    },
  }
}

function toKind(status: number): ApiError['kind'] {
  return new ApiError({ status, title: '', detail: '' }).kind
}
