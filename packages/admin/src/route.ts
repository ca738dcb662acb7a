import type { Job } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import type { z } from 'zod'
import type { Access } from './access.ts'
import { problemResponses } from './http/problem.ts'

type AnyLine = (fields: object, message: string) => unknown

/** The log of a request. */
export type RouteLog = Record<'debug' | 'info' | 'warn' | 'error', AnyLine>

/** The objects that routes use. */
export interface AdminParts {
  client: JobsClient
  jobs: readonly Job[]
  now: () => Date
}

/** A request that was admitted and matches its route's schemas. */
export interface RouteRequest<
  Params = unknown,
  Query = unknown,
  Body = unknown,
  Headers = unknown,
> {
  params: Params
  query: Query
  body: Body
  headers: Headers
  access: Access
  /** The user and the reason in the body: for acts. */
  by: By<Body>
  log: RouteLog
  /** Logs an act and its user. */
  logAct(fields: object, message: string): void
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** Reads the user's rights again, for an answer that takes long. Null if they may no longer see the console. */
  stillMayView(): Promise<Access | null>
}

/** The parts of a request that several acts use. */
export type ActRequest<Body> = Pick<RouteRequest<unknown, unknown, Body>, 'body' | 'by' | 'logAct'>

type By<Body> = { actor: string } & (Body extends { reason: string }
  ? { reason: string }
  : { reason?: string })

/** The answers by status. One of them is the success: its status applies to the route's return value. */
type Answers = Record<number, unknown>

/** A route of the admin API, for any server. */
export interface Route {
  method: Method
  /** Below the API's path, such as `/jobs/named/:name/run`. */
  path: string
  may: 'view' | 'act' | 'payloads'
  /** The answer ends when the client leaves: it has no HEAD, and its duration is not measured. */
  isEndless?: boolean
  schema: {
    /** Keeps the route out of an OpenAPI document. */
    hide?: boolean
    tags: readonly string[]
    summary: string
    description?: string
    params?: z.ZodType
    querystring?: z.ZodType
    body?: z.ZodType
    headers?: z.ZodType
    response: Answers
  }
  /** Returns a value for the schema of the success, or a complete answer. */
  handle(request: RouteRequest): unknown
}

type Method = 'GET' | 'POST' | 'DELETE'

interface DescribedRoute<Params, Query, Body, Headers, Answer extends Answers> {
  summary: string
  description?: string
  /** Default: `jobs` or `console`, by the path. */
  tag?: 'schedules'
  /** Default: GET needs `view`, all others need `act`. */
  may?: 'payloads'
  isEndless?: boolean
  params?: Params
  query?: Query
  body?: Body
  headers?: Headers
  /** Only the success. */
  answer: Answer
  /** Statuses of problems, in addition to those before `handle`. */
  refuses?: readonly (404 | 409)[]
  handle(
    request: RouteRequest<z.output<Params>, z.output<Query>, z.output<Body>, z.output<Headers>>,
  ): Returned<Answer> | Response | Promise<Returned<Answer> | Response>
}

type Returned<Responses> = {
  [Status in keyof Responses]: Responses[Status] extends z.ZodType
    ? z.input<Responses[Status]>
    : never
}[keyof Responses]

/** Creates a route from its method and path, such as `GET /jobs`. The types of the request are those of its schemas. */
export function route<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Headers extends z.ZodType,
  Answer extends Answers,
>(
  address: `${Method} /${string}`,
  described: DescribedRoute<Params, Query, Body, Headers, Answer>,
): Route {
  const [method, path] = address.split(' ') as [Method, string]
  const { may = method === 'GET' ? 'view' : 'act', isEndless = false, handle } = described
  const { tag = path.startsWith('/console/') ? 'console' : 'jobs' } = described
  const { summary, description, params, query, body, headers, answer, refuses = [] } = described
  const isChecked = params !== undefined || query !== undefined || body !== undefined
  const problems = problemResponses(
    ...(isChecked ? ([400] as const) : []),
    ...([401, 403] as const),
    ...refuses,
    ...(method === 'GET' ? [] : ([413, 415] as const)),
  )
  return {
    method,
    path,
    may,
    isEndless,
    schema: {
      tags: [tag],
      summary,
      ...(description !== undefined && { description }),
      ...(params && { params }),
      ...(query && { querystring: query }),
      ...(body && { body }),
      ...(headers && { headers }),
      response: { ...answer, ...problems },
    },
    handle,
  }
}

const NAMED = '/jobs/named/:name/'

/**
 * Adds the address of earlier versions to a route about a job. It lacks `named`. For a job with the name of a part of another
 * address, such as `runs`, it is that other address.
 */
export function withShortAddress(one: Route): Route[] {
  if (!one.path.startsWith(NAMED)) return [one]
  const path = one.path.replace(NAMED, '/jobs/:name/')
  return [one, { ...one, path, schema: { ...one.schema, hide: true } }]
}

/** Finds the route of a path below the API's as Fastify does: a literal part comes before a parameter. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { route: Route; params: Record<string, string> } | undefined {
  const parts = path.split('/')
  const [found] = routes
    .filter(
      (one) =>
        one.method === method || (one.method === 'GET' && method === 'HEAD' && !one.isEndless),
    )
    .filter((one) => {
      const names = one.path.split('/')
      return (
        names.length === parts.length &&
        names.every((name, at) => isParameter(name) || name === decodeURIComponent(parts[at] ?? ''))
      )
    })
    .toSorted((one, other) => (withTildes(one) < withTildes(other) ? -1 : 1))
  if (!found) return undefined
  const params = found.path
    .split('/')
    .flatMap((name, at) => (isParameter(name) ? [[name.slice(1), parts[at] ?? '']] : []))
  return { route: found, params: Object.fromEntries(params) as Record<string, string> }
}

/** A tilde sorts behind all literal parts. */
function withTildes({ path }: Route): string {
  return path.replaceAll(/:\w+/g, '~')
}

function isParameter(name: string): boolean {
  return name.startsWith(':')
}
