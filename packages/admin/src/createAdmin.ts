import { parse } from 'node:querystring'
import { ArgumentError } from '@roundsman/engine'
import { TablesError } from '@roundsman/engine/client'
import { isConnectionLoss, isReadOnly } from '@roundsman/engine/internal'
import { z } from 'zod'
import { admit, refuseForeignOrigin, stillMayView, type Access } from './access.ts'
import { consoleRoutes } from './console/consoleRoutes.ts'
import { createChanges, type Changes } from './console/createChanges.ts'
import { createConsoleFiles } from './console/createConsoleFiles.ts'
import { answerFailure, answerText, SchemaMismatch, type Answer } from './http/answer.ts'
import { Problem } from './http/problem.ts'
import { readJson } from './http/readJson.ts'
import { actOnManyRoutes } from './jobs/actOnManyRoutes.ts'
import { deadLetterRoutes } from './jobs/deadLetterRoutes.ts'
import { payloadRoutes } from './jobs/payloadRoutes.ts'
import { eventRoutes } from './jobs/eventRoutes.ts'
import { jobRoutes } from './jobs/jobRoutes.ts'
import { jobRunRoutes } from './jobs/jobRunRoutes.ts'
import { scheduleRoutes } from './jobs/scheduleRoutes.ts'
import { runsCsvRoutes } from './jobs/runsCsvRoutes.ts'
import { limitRoutes } from './jobs/limitRoutes.ts'
import { stepRoutes } from './jobs/stepRoutes.ts'
import { workRoutes } from './jobs/workRoutes.ts'
import { asPrefix, describeEnvironment, type AdminOptions } from './options.ts'
import { findRoute, withShortAddress, type Route, type RouteLog } from './route.ts'

/** A request, as whichever server got it hands it over. A web `Request` has the first four. */
export interface Visit {
  method: string
  headers: Headers
  body: AsyncIterable<Uint8Array> | null
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** The address behind the host: path and query. */
  target: string
  /** The request's name in the log, also told to the client. */
  id: string
  log: RouteLog
  /** Asks the host who sent it. */
  ask(): Access | null | Promise<Access | null>
}

export interface Admin {
  /** Below the API's path. */
  routes: readonly Route[]
  /** Whether an address is below API or console. */
  owns(target: string): boolean
  /** Answers a request by its address. Never rejects. */
  answer(visit: Visit): Promise<Answer>
  /** Answers a request that a router has led to a route, with the decoded parameters of its path. Never rejects. */
  answerRoute(route: Route, params: unknown, visit: Visit): Promise<Answer>
  /**
   * Starts the client, once. After a failure the next request tries again.
   * @throws TablesError
   */
  open(): Promise<void>
  /** Ends the streams of events. */
  endStreams(): void
  close(): Promise<void>
}

/** As the checks return them: what was left out may be there as undefined. */
type CheckedOptions = {
  [Name in keyof AdminOptions]: AdminOptions[Name] | undefined
} & Pick<AdminOptions, 'client' | 'jobs'> & { basePath?: string | undefined; authorize: unknown }

/**
 * Admin API and console, for any server: what is asked, who may, and the answer. Making it does nothing: the first request
 * opens what it needs. The options were checked.
 */
export function createAdmin(options: CheckedOptions): Admin {
  const { client, jobs, now = () => new Date() } = options
  const { apiPrefix = '/api', consolePath = '/console', consoleDir } = options
  const { pingIntervalMs = 10_000, recheckMs = 15_000 } = options
  const { hasSessions = false, loginUrl = '', traceUrl = '', version = null } = options
  const base = asPrefix(options.basePath ?? '')
  const seen = asPrefix(options.publicPath ?? base)
  const api = base + asPrefix(apiPrefix)
  const page = consolePath === null ? null : base + asPrefix(consolePath)
  const settings = {
    base: seen + asPrefix(consolePath ?? ''),
    api: seen + asPrefix(apiPrefix),
    hasSessions,
    loginUrl,
    traceUrl,
  }
  const files = createConsoleFiles(settings, consoleDir)
  const parts = { client, jobs, now }
  let watched: Changes | undefined
  const changes = () => (watched ??= createChanges(client))
  const ends = new Set<() => void>()
  const routes = [
    ...jobRoutes(parts),
    ...scheduleRoutes(parts),
    ...jobRunRoutes(parts),
    ...runsCsvRoutes(parts),
    ...eventRoutes({ changes, ends, pingIntervalMs, recheckMs }),
    ...deadLetterRoutes(parts),
    ...payloadRoutes(parts),
    ...actOnManyRoutes(parts),
    ...stepRoutes(parts),
    ...workRoutes(parts),
    ...limitRoutes(parts),
    ...consoleRoutes({
      ...parts,
      environment: {
        ...describeEnvironment(options.environment),
        version,
        database: client.place,
      },
    }),
  ].flatMap(withShortAddress)

  let opening: Promise<void> | undefined
  let isClosed = false
  function open(): Promise<void> {
    opening ??= client.start().then(
      () => {
        if (isClosed) return
        // Before the first page is read: what changes after it must be told.
        changes()
      },
      (error: unknown) => {
        opening = undefined
        throw error
      },
    )
    return opening
  }

  async function handle(route: Route, params: unknown, visit: Visit): Promise<Answer> {
    const { method, headers, body, signal, target, log, ask } = visit
    refuseForeignOrigin(method, headers)
    let access = await admit(ask, route.may)
    await open().catch((error: unknown) => {
      throw toUnavailable(error, log)
    })
    const { schema } = route
    const sent = schema.body && (await readJson(headers, body))
    // A client may hold its body back until long after the first check: only now does its right count.
    if (route.method !== 'GET') access = await admit(ask, route.may)
    const given = check('body', schema.body, sent)
    const { reason } = (given ?? {}) as { reason?: string }
    const request = {
      params: check('params', schema.params, params),
      body: given,
      query: check('query', schema.querystring, parse(target.split('?')[1] ?? '')),
      headers: check('headers', schema.headers, Object.fromEntries(headers)),
      access,
      by: { actor: access.actor, ...(reason !== undefined && { reason }) },
      log,
      logAct: (fields: object, message: string) =>
        void log.info({ ...fields, userId: access.userId }, message),
      signal,
      stillMayView: () => stillMayView(ask, log),
    }
    try {
      return toAnswer(route, await route.handle(request))
    } catch (error) {
      if (isReadOnly(error)) throw new Problem(503, { detail: REFUSES_WRITES })
      throw isConnectionLoss(error) ? toLost(error, route, log) : error
    }
  }

  async function attempt(visit: Visit, what: () => Promise<Answer>): Promise<Answer> {
    const answer = await what().catch((error: unknown) => answerFailure(error, visit))
    if (visit.method !== 'HEAD') return answer
    if (answer.body instanceof ReadableStream) await answer.body.cancel().catch(() => undefined)
    return { ...answer, body: null }
  }

  const admin: Admin = {
    routes,
    owns(target) {
      const [path = ''] = target.split('?')
      return [`${api}/jobs`, `${api}/console`, page].some(
        (one) => one !== null && isBelow(one, path),
      )
    },
    answer: (visit) =>
      attempt(visit, async () => {
        const [path = ''] = visit.target.split('?')
        decode(path)
        if (!isBelow(base, path)) throw nothingHere(`: the basePath is ${base}`)
        if (path.startsWith(`${api}/`)) {
          // Frameworks may be set to end each address in a slash.
          const below = path.slice(api.length).replace(/\/$/, '')
          const found = findRoute(routes, visit.method, below)
          if (found) return await admin.answerRoute(found.route, decodeAll(found.params), visit)
          const others = ['GET', 'POST', 'DELETE'].filter((one) => findRoute(routes, one, below))
          if (others.length > 0) throw wrongMethod(others)
          // A console around the API would answer a wrong address of the API with its page.
          if (page === null || !isBelow(api, page)) throw nothingHere()
        }
        if (page === null || !isBelow(page, path)) throw nothingHere()
        if (visit.method !== 'GET' && visit.method !== 'HEAD') throw wrongMethod(['GET'])
        return await files(decode(path.slice(page.length + 1)), visit.headers)
      }),
    answerRoute: (route, params, visit) => attempt(visit, () => handle(route, params, visit)),
    open,
    endStreams() {
      for (const end of ends) end()
    },
    async close() {
      isClosed = true
      admin.endStreams()
      await watched?.close()
    },
  }
  return admin
}

/**
 * Opens it at the start of a server. One whose database is away for a moment starts: a later request opens it.
 * @throws TablesError when the tables are missing or of another version
 */
export async function openUnlessAway(
  admin: Admin,
  log: Pick<RouteLog, 'warn'> | undefined,
): Promise<void> {
  try {
    await admin.open()
  } catch (error) {
    if (error instanceof TablesError) throw error
    log?.warn({ err: error }, 'the job tables could not be checked at start')
  }
}

/** Longer than any name or id in a path. */
const MAX_PARAMETER_LENGTH = 512

/** @throws Problem 400 or 414 */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Problem(400, { detail: 'The address is not properly percent-encoded' })
  }
}

function decodeAll(params: Record<string, string>): Record<string, string> {
  const decoded = Object.entries(params).map(([name, text]) => [name, decode(text)] as const)
  if (decoded.some(([, text]) => text.length > MAX_PARAMETER_LENGTH))
    throw new Problem(414, { detail: 'A part of the address is too long' })
  return Object.fromEntries(decoded)
}

function isBelow(base: string, path: string): boolean {
  return path === base || path.startsWith(`${base}/`)
}

/** @throws SchemaMismatch */
function check(place: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (schema === undefined) return undefined
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  throw new SchemaMismatch(place, error.issues)
}

/** Writes an answer by its schema, so that it holds what the schema names and nothing else. */
function toAnswer({ schema }: Route, returned: unknown): Answer {
  if (returned instanceof Response) {
    const { status, headers, body } = returned
    return { status, headers: { ...UNCACHED, ...Object.fromEntries(headers) }, body }
  }
  const [success] = Object.entries(schema.response).filter(([status]) => status.startsWith('2'))
  const [status, described] = success as [string, z.ZodType]
  if (status === '204') return { status: 204, headers: UNCACHED, body: null }
  const text = JSON.stringify(z.encode(described, returned))
  return answerText(Number(status), 'application/json; charset=utf-8', text, UNCACHED)
}

/** Answers depend on who asks and when: no browser or proxy may keep one. */
const UNCACHED = { 'cache-control': 'no-store' }

function nothingHere(hint = ''): Problem {
  return new Problem(404, { detail: `There is nothing at this address${hint}` })
}

function wrongMethod(allowed: readonly string[]): Problem {
  const allow = allowed.join(', ')
  return new Problem(405, { detail: `This address takes ${allow} only`, headers: { allow } })
}

function toUnavailable(error: unknown, log: RouteLog): Problem {
  log.error({ err: error }, 'the job tables could not be checked')
  const detail =
    error instanceof TablesError
      ? 'The tables of the jobs are missing or of another version; the server’s log says what to do'
      : error instanceof ArgumentError
        ? 'The server was given no address of the database of the jobs; its log says what to do'
        : describeAway(error)
  return new Problem(503, { detail, headers: { 'retry-after': '5' } })
}

/** It answers where it has no connection left: for all, for its role or for its database. */
function describeAway(error: unknown, remedy = 'try again in a moment'): string {
  const isFull = error instanceof Error && 'code' in error && error.code === '53300'
  const what = isFull ? 'has no connection left, others hold all that it allows' : 'does not answer'
  return `The database of the jobs ${what}; ${remedy}`
}

const REFUSES_WRITES =
  'The database of the jobs refuses writes (read-only), so nothing was changed; try again once it takes them'

/** Of a connection that was lost after the client had started. A change may have been committed before. */
function toLost(error: unknown, { method }: Route, log: RouteLog): Problem {
  log.error({ err: error }, 'the database of the jobs does not answer')
  if (method === 'GET')
    return new Problem(503, { detail: describeAway(error), headers: { 'retry-after': '5' } })
  return new Problem(503, {
    detail: describeAway(error, 'look whether it was done before you try again'),
  })
}
