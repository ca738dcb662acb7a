import type { Job } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import type { z } from 'zod'
import type { Access } from './access.ts'
import { problemResponses } from './http/problem.ts'

type AnyLine = (fields: object, message: string) => unknown

/** Where the lines of a request go. */
export type RouteLog = Record<'debug' | 'info' | 'warn' | 'error', AnyLine>

/** What the routes are made of. */
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
  /** Who asks, and why, as the body says: for acts. */
  by: By<Body>
  log: RouteLog
  /** Logs what was done, and who did it. */
  logAct(fields: object, message: string): void
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** Asks once more what they may do, for an answer that takes long; null when they may not look any more. */
  stillMayView(): Promise<Access | null>
}

/** What several acts take of a request. */
export type ActRequest<Body> = Pick<RouteRequest<unknown, unknown, Body>, 'body' | 'by' | 'logAct'>

type By<Body> = { actor: string } & (Body extends { reason: string }
  ? { reason: string }
  : { reason?: string })

/** The answers by their status. One of them is the success: its status is that of what the route returns. */
type Answers = Record<number, unknown>

/** A route of the admin API, whatever server it lies on. */
export interface Route {
  method: Method
  /** Below the API's path, such as `/jobs/named/:name/run`. */
  path: string
  may: 'view' | 'act' | 'payloads'
  /** The answer ends when the client leaves: it has no HEAD, and its duration says nothing. */
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
  /** Returns what the schema of the success takes, or an answer of its own. */
  handle(request: RouteRequest): unknown
}

type Method = 'GET' | 'POST' | 'DELETE'

interface DescribedRoute<Params, Query, Body, Headers, Answer extends Answers> {
  summary: string
  description?: string
  /** Default: `jobs` or `console`, by the path. */
  tag?: 'schedules'
  /** Default: GET takes who may look, and all else who may act. */
  may?: 'payloads'
  isEndless?: boolean
  params?: Params
  query?: Query
  body?: Body
  headers?: Headers
  /** The success alone. */
  answer: Answer
  /** Statuses of problems, beside those that come before `handle`. */
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

/** Makes a route of its method and path, such as `GET /jobs`. The types of the request are those of its schemas. */
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
 * Adds the address of earlier versions to a route about a job. It lacks `named`, so for a job that is called as a part of
 * another address, such as `runs`, it is that other address.
 */
export function withShortAddress(one: Route): Route[] {
  if (!one.path.startsWith(NAMED)) return [one]
  const path = one.path.replace(NAMED, '/jobs/:name/')
  return [one, { ...one, path, schema: { ...one.schema, hide: true } }]
}

/** Finds the route of a path below the API's as Fastify does: a part that is written out goes before a parameter. */
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

/** A tilde sorts behind all that is written out. */
function withTildes({ path }: Route): string {
  return path.replaceAll(/:\w+/g, '~')
}

function isParameter(name: string): boolean {
  return name.startsWith(':')
}
