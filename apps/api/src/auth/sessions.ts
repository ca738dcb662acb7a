import { Problem } from '@roundsman/admin/http'
import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { createHmac, timingSafeEqual } from 'node:crypto'

/*
 * A browser's session. The server stores none: a signed token in a cookie is all there is of it.
 *
 *   none   The browser has no cookie. Logging in opens a session for an admin or an owner.
 *   open   For eight hours. Logging out removes the cookie, and the browser drops it when the time is over: none.
 *   void   The cookie is there, and its token counts no more: it has expired, its user got a new password or was deleted
 *          (401), or is not an admin any more (403). Logging in again opens a new session.
 *
 * A copy of the token stays good after logging out, until it expires or its user gets a new password.
 */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set on routes that ignore who asks, such as logging in: they take no CSRF token. */
    isForAnyone?: boolean
  }
  interface FastifyInstance {
    /** Sets the session's cookie, which ends with the token. */
    openSession(request: FastifyRequest, reply: FastifyReply, session: BrowserSession): void
    closeSession(reply: FastifyReply): void
    /** The token that a browser has to send in x-csrf-token with every change. */
    csrfTokenOf(sessionToken: string): string
  }
}

export interface BrowserSession {
  token: string
  expiresAt: Date
}

const COOKIE = 'roundsman_session'
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Keeps a browser's token in a cookie that no script can read and no other site makes the browser send. A change also
 * needs the CSRF token, which only our own pages can read.
 */
export const sessions = fastifyPlugin<{ jwtSecret: string }>(async (app, { jwtSecret }) => {
  await app.register(cookie)

  const csrfTokenOf = (sessionToken: string) =>
    createHmac('sha256', jwtSecret).update(`csrf ${sessionToken}`).digest('base64url')

  app.decorate('csrfTokenOf', csrfTokenOf)
  app.decorate('openSession', (request, reply, { token, expiresAt }) => {
    reply.setCookie(COOKIE, token, {
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
      // A browser drops a secure cookie that comes over plain HTTP, as on a development machine.
      secure: isSecure(request),
      expires: expiresAt,
    })
  })
  app.decorate('closeSession', (reply) => {
    reply.clearCookie(COOKIE, { path: '/' })
  })
  app.addHook('onRequest', async (request) => {
    const token = readSessionToken(request)
    if (token === undefined || SAFE_METHODS.has(request.method)) return
    if (request.routeOptions.config.isForAnyone === true) return
    if (isEqual(request.headers['x-csrf-token'], csrfTokenOf(token))) return
    throw new Problem(403, {
      detail:
        'A change in a console session needs the header x-csrf-token; GET /api/console/session gives its value',
    })
  })
})

/**
 * The token in the session's cookie. Undefined without one, and for a request with an access token, which then says who
 * asks.
 */
export function readSessionToken(request: FastifyRequest): string | undefined {
  if (request.headers.authorization !== undefined) return undefined
  return request.cookies[COOKIE]
}

/** Whether the browser used TLS. Behind a proxy the header says so; whoever forges it harms only their own cookie. */
function isSecure(request: FastifyRequest): boolean {
  const forwarded = request.headers['x-forwarded-proto']
  return request.protocol === 'https' || forwarded?.toString().split(',')[0]?.trim() === 'https'
}

function isEqual(sent: string | string[] | undefined, expected: string): boolean {
  if (typeof sent !== 'string') return false
  const [one, other] = [Buffer.from(sent), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
