import { Problem } from '@roundsman/fastify/http'
import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { createHmac, timingSafeEqual } from 'node:crypto'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For a route that takes no notice of who asks, such as the one to log in. */
    isForAnyone?: boolean
  }
  interface FastifyInstance {
    /** Hands a browser its session. It ends with the token. */
    openSession(request: FastifyRequest, reply: FastifyReply, session: BrowserSession): void
    closeSession(reply: FastifyReply): void
    /** What has to come with every change that a session asks for. */
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
 * Sessions of browsers: the token lies in a cookie that no script can read and no other site makes the browser
 * send. A change needs a second proof that the request comes from our own pages.
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
      // Over plain HTTP, as on a development machine, a browser would not keep it otherwise.
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
      detail: 'A change in a session takes the header x-csrf-token, from GET /api/console/session',
    })
  })
})

/** Undefined where there is none, and for a request that brings an access token: that says who asks. */
export function readSessionToken(request: FastifyRequest): string | undefined {
  if (request.headers.authorization !== undefined) return undefined
  return request.cookies[COOKIE]
}

/** Behind a proxy the header says it; who sends it wrongly harms nobody else. */
function isSecure(request: FastifyRequest): boolean {
  const forwarded = request.headers['x-forwarded-proto']
  return request.protocol === 'https' || forwarded?.toString().split(',')[0]?.trim() === 'https'
}

function isEqual(sent: string | string[] | undefined, expected: string): boolean {
  if (typeof sent !== 'string') return false
  const [one, other] = [Buffer.from(sent), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
