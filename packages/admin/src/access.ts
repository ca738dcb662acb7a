import { types } from 'node:util'
import { Problem } from './http/problem.ts'
import type { Route, RouteLog } from './route.ts'

/** Who asks, and what they may do. */
export interface Access {
  /** A name or an address. The engine records it with what they do, and everybody who may look sees it. */
  actor: string
  /** Whether they may look at jobs, runs and queue. */
  view: boolean
  /** Whether they may run, pause, cancel, approve, retry and discard. */
  act: boolean
  /**
   * Whether they may look at payloads, where each look is recorded, and at the messages, causes and log lines of runs. Default:
   * false.
   */
  payloads?: boolean | undefined
  /** Their id in log lines. Default: the log does not say who acted. */
  userId?: string | undefined
}

/**
 * The host's own answer to who asks. Null refuses with 401. An error with a `statusCode` of 401 or 403 refuses with that,
 * with its message and its `headers`; any other is answered with 500, and logged. An open stream of events asks again
 * every `recheckMs`, with the request that began it.
 */
export type Authorize<Asking = Request> = (
  request: Asking,
) => Access | null | Promise<Access | null>

type Ask = () => Access | null | Promise<Access | null>

/**
 * Asks the host who asks.
 * @throws Problem 401 or 403
 * @throws TypeError which names the part of the access that is none
 */
export async function admit(ask: Ask, may: Route['may']): Promise<Access> {
  const access = readAccess(await askHost(ask))
  if (access === null) throw new Problem(401, { detail: 'Log in first' })
  if (may === 'payloads' ? access.view && access.payloads : access[may]) return access
  throw new Problem(403, {
    detail: REFUSED[may],
  })
}

/** What is answered where somebody may not do something. */
export const REFUSED = {
  view: 'You don’t have access to the jobs',
  act: 'You may look at the jobs but not change them',
  payloads: 'You may look at the jobs but not at payloads',
} as const satisfies Record<Route['may'], string>

/** Reads each part once, since a getter may return something else the next time. */
function readAccess(returned: unknown): Access | null {
  if (returned === null) return null
  const { actor, view, act, payloads = false, userId } = (returned ?? {}) as Partial<Access>
  if (typeof actor !== 'string' || actor.trim() === '')
    throw new TypeError(
      'authorize must return { actor, view, act } with a name as actor, or null to refuse',
    )
  const rights = Object.entries<unknown>({ view, act, payloads })
  // The rejection of a promise that stands for a right has no other listener.
  for (const [, given] of rights) if (types.isPromise(given)) given.catch(() => undefined)
  for (const [right, given] of rights) {
    if (typeof given === 'boolean') continue
    const found = types.isPromise(given) ? 'a promise: await it first' : typeof given
    throw new TypeError(`authorize must return ${right} as true or false, not as ${found}`)
  }
  return { actor, view, act, payloads, userId } as Access
}

async function askHost(ask: Ask): Promise<unknown> {
  try {
    return await ask()
  } catch (error) {
    if (isRefusal(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new AuthorizeError(`authorize threw instead of returning an access or null: ${why}`, {
      cause: error,
    })
  }
}

class AuthorizeError extends Error {}

/**
 * What they may do by now; null when they may not look any more.
 * @throws AuthorizeError when `authorize` threw, which says nothing about who asks
 */
export async function stillMayView(ask: Ask, log: RouteLog): Promise<Access | null> {
  try {
    return await admit(ask, 'view')
  } catch (error) {
    if (error instanceof AuthorizeError) throw error
    if (!isRefusal(error)) log.error({ err: error }, 'request failed')
    return null
  }
}

/** Whether the host refuses by this error, as its own log-in does. */
export function isRefusal(error: unknown): error is Error & { statusCode: 401 | 403 } {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return error instanceof Error && (statusCode === 401 || statusCode === 403)
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Refuses a change that a browser sends for another site, with cookies or HTTP's own log-in. It trusts Sec-Fetch-Site, or
 * else Origin: a client that sends neither is no browser. No browser sends a bearer token by itself, but a page of another
 * site may add one to a cookie: the token counts only without a cookie, by which the host might know who asks.
 * @throws Problem 403
 */
export function refuseForeignOrigin(method: string, headers: Headers): void {
  const isByToken = /^Bearer /i.test(headers.get('authorization') ?? '') && !headers.has('cookie')
  if (SAFE_METHODS.has(method) || isByToken) return
  const site = headers.get('sec-fetch-site')
  const origin = headers.get('origin')
  const isOwn =
    site === null
      ? origin === null || isOf(origin, headers)
      : site === 'same-origin' || site === 'none'
  if (isOwn) return
  throw new Problem(403, {
    detail: 'A page of another site sent this change; only pages of this site may change anything',
  })
}

/**
 * Whether the origin is the server's, by the name that the client or its proxy says. A page of another site can set neither
 * header: browsers ask the server before they send X-Forwarded-Host for a page, and no answer here allows it.
 */
function isOf(origin: string, headers: Headers): boolean {
  const url = URL.parse(origin)
  const hosts = [headers.get('host'), headers.get('x-forwarded-host')?.split(',')[0]?.trim()]
  // Either side may spell out the default port.
  return (
    url !== null &&
    hosts.some((host) => host && URL.parse(`${url.protocol}//${host}`)?.host === url.host)
  )
}
