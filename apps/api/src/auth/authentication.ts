import { Problem } from '@roundsman/fastify/http'
import { hash } from 'node:crypto'
import jwt from '@fastify/jwt'
import type { DatabaseClient, Role } from '@roundsman/db'
import type { Authorize } from '@roundsman/fastify'
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
     * Who asks, as the database knows them.
     * @throws Error on a route without `requireRole`
     */
    readonly caller: Caller
  }
  interface FastifyInstance {
    /**
     * A hook that lets a request pass only with a valid token of a user of that role or a higher
     * one, and puts that user on the request as `caller`. As `onRequest` it comes before validation: who may not ask is not told what is wrong
     * with the question.
     */
    requireRole(role: Role): onRequestAsyncHookHandler
    /** Admits to jobs and console those whom `requireRole('admin')` lets pass. */
    authorizeAdmin: Authorize
    issueToken(userId: string): string
    /** For a browser: the same user, for longer, and good for nothing but a cookie. */
    issueSession(userId: string): BrowserSession
  }
}

/** Who may do more has the higher number. */
const RANK = { staff: 1, admin: 2, owner: 3 } as const satisfies Record<Role, number>

const ISSUER = 'roundsman'
const SESSION_MS = 8 * 3_600_000
/** `use` tells what a token is good for; an access token has none. */
const tokenSchema = z.object({
  sub: z.guid(),
  use: z.literal('session').optional(),
  iat: z.number(),
  exp: z.number(),
})

type TokenClaims = z.output<typeof tokenSchema>

/** Tokens of before `loginsFrom`, in seconds since 1970, are of an earlier password. */
type FoundUser = Caller & { loginsFrom: number | null }

/**
 * Access tokens: JWT, HS256 and nothing else, valid for 15 minutes. They name the user and no role;
 * the role is read at each request, so that who is demoted or deleted is so at once, as are the log-ins of whoever got
 * another password.
 */
export const authentication = fastifyPlugin<AuthenticationOptions>(
  async (app, { prisma, jwtSecret, now }) => {
    await app.register(jwt, {
      secret: jwtSecret,
      sign: { algorithm: 'HS256', expiresIn: '15m', iss: ISSUER },
      // Without a list, any HMAC would do, and without required claims a token without an end.
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
        // A mistake of ours, and not to be taken for a request of nobody.
        if (!caller) throw new Error('The route does not require a role, so nobody is known to ask')
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

    app.decorate('requireRole', (role: Role): onRequestAsyncHookHandler => {
      return async (request) => {
        callers.set(request, await authorize(request, role))
      }
    })

    app.decorate('authorizeAdmin', async (request: FastifyRequest) => {
      const { id, email } = await authorize(request, 'admin')
      return { actor: email, view: true, act: true, userId: id }
    })

    /** @throws Problem 401 or 403 */
    async function authorize(request: FastifyRequest, role: Role): Promise<Caller> {
      const sessionToken = readSessionToken(request)
      const claims =
        sessionToken === undefined
          ? readUserClaims(readToken(request), undefined)
          : readUserClaims(sessionToken, 'session')
      const found = claims && (await findUser(claims.sub))
      if (!claims || !found || (found.loginsFrom !== null && claims.iat < found.loginsFrom))
        throw unauthorized(
          'The access token is not valid (any more); log in again',
          'invalid_token',
        )
      if (RANK[found.role] < RANK[role])
        throw new Problem(403, { detail: `This takes the role ${role} or a higher one` })
      return { id: found.id, email: found.email, role: found.role }
    }

    function readUserClaims(token: string, use: 'session' | undefined): TokenClaims | undefined {
      try {
        const claims = readClaims(token, now().getTime())
        return claims.use === use ? claims : undefined
      } catch {
        // Expired, forged, of another issuer, not a token at all: the answer is the same.
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

/** RFC 6750: the header says how to authenticate, and the error only if a token was sent. */
export function unauthorized(detail: string, error?: 'invalid_token'): Problem {
  const challenge = 'Bearer realm="roundsman"' + (error === undefined ? '' : `, error="${error}"`)
  return new Problem(401, { detail, headers: { 'www-authenticate': challenge } })
}

/**
 * Answers those who ask in the same turn of the event loop by one look-up. It begins after the last of them has asked,
 * so that none is told what was true before; and it waits for no other, so that one that hangs holds up nobody else.
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

/** Far more than people who ask at the same time. */
const MAX_KEPT = 1_000

interface Verified<Claims> {
  claims: Claims
  verifiedAtMs: number
}

/**
 * The same verification, done once for each token: whoever holds one sends it with every request. Kept are only tokens
 * that were found valid, as a hash, and none is taken for valid before the instant at which it was verified, nor from
 * its end on: that is for `verify` to say again.
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
