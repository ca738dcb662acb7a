import { Problem } from '@roundsman/admin/http'
import { hash } from 'node:crypto'
import jwt from '@fastify/jwt'
import type { DatabaseClient, Role } from '@roundsman/db'
import type { Authorize } from '@roundsman/admin'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { z } from 'zod'
import { readSessionToken, type BrowserSession } from './sessions.ts'

export interface AuthenticationOptions {
  prisma: DatabaseClient
  jwtSecret: string
  now: () => Date
}

export interface Caller {
  id: string
  email: string
  role: Role
}

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The user who sent the request, as the database has them now.
     * @throws Error on a route without `requireRole`
     */
    readonly caller: Caller
  }
  interface FastifyInstance {
    /**
     * Makes a hook that lets a request pass only with a valid token of a user with this role or a higher one, and sets
     * `request.caller`. As `onRequest` it runs before validation, so that strangers learn nothing about their request; once
     * a body has been read, the role is asked again.
     */
    requireRole(role: Role): onRequestAsyncHookHandler
    /** Lets those see and act on jobs whom `requireRole('admin')` lets pass. Payloads, with customers' data, owners alone see. */
    authorizeAdmin: Authorize<FastifyRequest>
    /** Signs an access token, valid for 15 minutes. */
    issueToken(userId: string): string
    /** Signs the token of a browser's session, valid for eight hours. As an access token it is refused. */
    issueSession(userId: string): BrowserSession
  }
}

/** A higher number may do more. */
const RANK = { staff: 1, admin: 2, owner: 3 } as const satisfies Record<Role, number>

const ISSUER = 'roundsman'
const SESSION_MS = 8 * 3_600_000
/** `use` tells the two kinds of token apart: an access token has none. */
const tokenSchema = z.object({
  sub: z.guid(),
  use: z.literal('session').optional(),
  iat: z.number(),
  exp: z.number(),
})

type TokenClaims = z.output<typeof tokenSchema>

/**
 * Tokens from before `loginsFrom`, in seconds since 1970, belong to an earlier password. Null: it was never changed.
 */
type FoundUser = Caller & { loginsFrom: number | null }

/**
 * Checks who sends a request. Tokens are JWTs, signed with HS256, and name the user but no role: each request reads the
 * user from the database, so that a demotion, a deletion or a new password counts at once.
 */
export const authentication = fastifyPlugin<AuthenticationOptions>(
  async (app, { prisma, jwtSecret, now }) => {
    await app.register(jwt, {
      secret: jwtSecret,
      sign: { algorithm: 'HS256', expiresIn: '15m', iss: ISSUER },
      // Without the list, any HMAC would pass; without the required claims, so would a token that never ends.
      verify: {
        algorithms: ['HS256'],
        allowedIss: ISSUER,
        requiredClaims: ['sub', 'iss', 'iat', 'exp'],
      },
    })

    const readClaims = rememberVerified((token, nowMs) =>
      tokenSchema.parse(app.jwt.verify(token, { clockTimestamp: nowMs })),
    )
    const findUser = batchLookUps(async (ids) => {
      const users = await prisma.readRows<FoundUser>({
        name: 'callers',
        text: `select "id", "email", "role", extract(epoch from "passwordChangedAt")::float8 as "loginsFrom"
               from "User" where "id" = any($1::uuid[])`,
        values: [ids],
      })
      return new Map(users.map((user) => [user.id, user]))
    })
    const callers = new WeakMap<FastifyRequest, Caller>()
    app.decorateRequest('caller', {
      getter() {
        const caller = callers.get(this)
        // A mistake in the route. A 401 would blame it on whoever asked.
        if (!caller)
          throw new Error(
            'The route has no requireRole, so it cannot tell who asks: add requireRole to its onRequest',
          )
        return caller
      },
    })

    app.decorate('issueToken', (userId: string) => {
      return app.jwt.sign({ sub: userId }, { clockTimestamp: now().getTime() })
    })

    app.decorate('issueSession', (userId: string) => {
      const issuedAt = now().getTime()
      const token = app.jwt.sign(
        { sub: userId, use: 'session' },
        { clockTimestamp: issuedAt, expiresIn: `${SESSION_MS / 3_600_000}h` },
      )
      return { token, expiresAt: new Date(issuedAt + SESSION_MS) }
    })

    const demanded = new WeakMap<FastifyRequest, Role>()
    app.decorate('requireRole', (role: Role): onRequestAsyncHookHandler => {
      return async (request) => {
        callers.set(request, await authorize(request, role))
        demanded.set(request, role)
      }
    })
    // A client may hold its body back until long after the first check: only now does its role count.
    app.addHook('preValidation', async (request) => {
      const role = demanded.get(request)
      if (role === undefined || request.body === undefined) return
      callers.set(request, await authorize(request, role))
    })

    app.decorate('authorizeAdmin', async (request: FastifyRequest) => {
      const { id, email, role } = await authorize(request, 'admin')
      return { actor: email, view: true, act: true, payloads: role === 'owner', userId: id }
    })

    /**
     * Finds the user by the session's cookie or the access token.
     * @throws Problem 401 without a valid token, 403 when the user has a lower role
     */
    async function authorize(request: FastifyRequest, role: Role): Promise<Caller> {
      const sessionToken = readSessionToken(request)
      const claims =
        sessionToken === undefined
          ? readUserClaims(readToken(request), undefined)
          : readUserClaims(sessionToken, 'session')
      const found = claims && (await findUser(claims.sub))
      if (!claims || !found || (found.loginsFrom !== null && claims.iat < found.loginsFrom))
        throw unauthorized(
          'The access token is wrong or has expired; log in again',
          'invalid_token',
        )
      if (RANK[found.role] < RANK[role])
        throw new Problem(403, { detail: `You need the role ${role} or a higher one for this` })
      return { id: found.id, email: found.email, role: found.role }
    }

    /** The claims of a valid token of that use; undefined for any other text. */
    function readUserClaims(token: string, use: 'session' | undefined): TokenClaims | undefined {
      try {
        const claims = readClaims(token, now().getTime())
        return claims.use === use ? claims : undefined
      } catch {
        // Expired, forged, from another issuer or no token at all: all get the same answer.
        return undefined
      }
    }
  },
)

function readToken(request: FastifyRequest): string {
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) throw unauthorized('Send an access token as "Authorization: Bearer …"')
  return token
}

/** The answer to a request without a valid token. By RFC 6750 its header names an error only if a token was sent. */
export function unauthorized(detail: string, error?: 'invalid_token'): Problem {
  const challenge = 'Bearer realm="roundsman"' + (error === undefined ? '' : `, error="${error}"`)
  return new Problem(401, { detail, headers: { 'www-authenticate': challenge } })
}

/**
 * Answers all who ask in the same turn of the event loop with one look-up, which starts after the last of them asked,
 * so that none gets an old answer. It waits for no earlier look-up, so that one that hangs holds up nobody else.
 */
export function batchLookUps<Found>(
  lookUp: (keys: readonly string[]) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  let next: { keys: Set<string>; found: Promise<ReadonlyMap<string, Found>> } | null = null

  function begin(): NonNullable<typeof next> {
    const keys = new Set<string>()
    const turn = new Promise<void>((resolve) => setImmediate(resolve))
    const found = turn.then(() => {
      next = null
      return lookUp([...keys])
    })
    return { keys, found }
  }

  return async (key) => {
    next ??= begin()
    next.keys.add(key)
    return (await next.found).get(key)
  }
}

/** Far more tokens than are in use at the same time. */
const MAX_KEPT = 1_000

interface Verified<Claims> {
  claims: Claims
  verifiedAtMs: number
}

/**
 * Verifies each token once: clients send the same one with every request. It keeps valid tokens only, as hashes, and
 * asks `verify` again once a token has expired or the clock is before the instant at which it was verified.
 */
export function rememberVerified<Claims extends { exp: number }>(
  verify: (token: string, nowMs: number) => Claims,
  maxKept = MAX_KEPT,
): (token: string, nowMs: number) => Claims {
  const kept = new Map<string, Verified<Claims>>()

  return (token, nowMs) => {
    const key = hash('sha256', token, 'base64')
    const known = kept.get(key)
    if (known && nowMs >= known.verifiedAtMs && nowMs < known.claims.exp * 1_000) {
      return known.claims
    }
    kept.delete(key)
    const claims = verify(token, nowMs)
    const [oldest] = kept.keys()
    if (kept.size >= maxKept && oldest !== undefined) kept.delete(oldest)
    kept.set(key, { claims, verifiedAtMs: nowMs })
    return claims
  }
}
