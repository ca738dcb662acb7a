import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { Problem } from './http/problem.ts'

/** Who asks, and what they may. */
export interface Access {
  /** A name or an address. The engine records it with what they do, and shows it to everybody who may look. */
  actor: string
  /** Whether they may look at jobs, runs and queue. */
  view: boolean
  /** Whether they may run, pause, cancel, approve, redrive and discard. */
  act: boolean
  /** Their id in log lines. Default: the log does not say who acted. */
  userId?: string | undefined
}

/**
 * The host's own answer to who asks. Null refuses with 401; what it throws with a `statusCode` of 401 or 403 is
 * answered with that, its message and its `headers`. A stream of events asks again, with the request that began it.
 */
export type Authorize<Request = FastifyRequest> = (
  request: Request,
) => Access | null | Promise<Access | null>

export interface Gate {
  /** For `onRequest`, before validation: somebody without access must not learn what is wrong with the request. */
  mayView: onRequestAsyncHookHandler
  mayAct: onRequestAsyncHookHandler
  /** Returns who has passed one of these hooks. */
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
      throw new TypeError('authorize has to say who it is: { actor, view, act }, or null')
    }
    if (access[may]) return access
    throw new Problem(403, {
      detail: may === 'view' ? 'You may not look at the jobs' : 'You may look, and change nothing',
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
      if (access === undefined) throw new Error('The route asks nobody who it is')
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
 * Refuses a change that a browser asks for on behalf of another site: it sends cookies along, and a log-in of HTTP's
 * own. What browsers say of themselves is believed (Sec-Fetch-Site, or else Origin); who says neither is no browser.
 * A bearer token is sent by nobody's browser alone.
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
  throw new Problem(403, { detail: 'A page of another site may not change anything here' })
}

function isOf(origin: string, host: string): boolean {
  const url = URL.parse(origin)
  // Either may name the port that goes without saying.
  return url !== null && url.host === URL.parse(`${url.protocol}//${host}`)?.host
}
