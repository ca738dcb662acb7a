import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { Problem } from './http/problem.ts'

/** Who asks, and what they may do. */
export interface Access {
  /** A name or an address. The engine records it with what they do, and everybody who may look sees it. */
  actor: string
  /** Whether they may look at jobs, runs and queue. */
  view: boolean
  /** Whether they may run, pause, cancel, approve, redrive and discard. */
  act: boolean
  /** Their id in log lines. Default: the log does not say who acted. */
  userId?: string | undefined
}

/**
 * The host's own answer to who asks. Null refuses with 401. An error with a `statusCode` of 401 or 403 refuses with that,
 * with its message and its `headers`. A stream of events asks again later, with the request that began it.
 */
export type Authorize<Request = FastifyRequest> = (
  request: Request,
) => Access | null | Promise<Access | null>

export interface Gate {
  /** For `onRequest`, before validation: somebody without access must not learn what is wrong with the request. */
  mayView: onRequestAsyncHookHandler
  mayAct: onRequestAsyncHookHandler
  /** Returns who passed one of these hooks. */
  accessOf(request: FastifyRequest): Access
  /** Asks once more whether they may look, for an answer that takes long. */
  stillMayView(request: FastifyRequest): Promise<boolean>
}

export function createGate(authorize: Authorize): Gate {
  const passed = new WeakMap<FastifyRequest, Access>()

  async function ask(request: FastifyRequest, may: 'view' | 'act'): Promise<Access> {
    const access = await authorize(request)
    if (access === null) throw new Problem(401, { detail: 'Log in first' })
    if (typeof access.actor !== 'string' || access.actor === '') {
      throw new TypeError(
        'authorize must return { actor, view, act } with a name as actor, or null to refuse',
      )
    }
    if (access[may]) return access
    throw new Problem(403, {
      detail:
        may === 'view'
          ? 'You don’t have access to the jobs'
          : 'You may look at the jobs but not change them',
    })
  }

  const admit =
    (may: 'view' | 'act'): onRequestAsyncHookHandler =>
    async (request) => {
      passed.set(request, await ask(request, may))
    }

  return {
    mayView: admit('view'),
    mayAct: admit('act'),
    accessOf(request) {
      const access = passed.get(request)
      if (access === undefined)
        throw new Error(
          'The route calls accessOf without mayView or mayAct in its onRequest: add one',
        )
      return access
    },
    async stillMayView(request) {
      try {
        await ask(request, 'view')
        return true
      } catch (error) {
        const { statusCode } = error as { statusCode?: unknown }
        if (statusCode === 401 || statusCode === 403) return false
        throw error
      }
    },
  }
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Refuses a change that a browser sends for another site, with cookies or HTTP's own log-in. It trusts Sec-Fetch-Site, or
 * else Origin: a client that sends neither is no browser, and no browser sends a bearer token by itself.
 */
export const refuseForeignOrigins: onRequestAsyncHookHandler = async ({
  method,
  headers,
  host,
}) => {
  if (SAFE_METHODS.has(method) || /^Bearer /i.test(headers.authorization ?? '')) return
  const { origin, 'sec-fetch-site': site } = headers
  const isOwn =
    site === undefined
      ? origin === undefined || isOf(origin, host)
      : site === 'same-origin' || site === 'none'
  if (isOwn) return
  throw new Problem(403, {
    detail: 'A page of another site sent this change; only pages of this site may change anything',
  })
}

function isOf(origin: string, host: string): boolean {
  const url = URL.parse(origin)
  // Either side may spell out the default port.
  return url !== null && url.host === URL.parse(`${url.protocol}//${host}`)?.host
}
