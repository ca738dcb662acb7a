import type { Job } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import type { z } from 'zod'
import type { Access } from './access.ts'

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
export interface RouteRequest<Params, Query, Body, Headers = unknown> {
  params: Params
  query: Query
  body: Body
  headers: Headers
  access: Access
  log: RouteLog
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** Asks once more whether they may look, for an answer that takes long. */
  stillMayView(): Promise<boolean>
}

/** The answers by their status. One of them is the success: its status is that of what the route returns. */
type Answers = Record<number, unknown>

interface RouteSchema<Params, Query, Body, Headers, Response> {
  tags: readonly string[]
  summary: string
  description?: string
  params?: Params
  querystring?: Query
  body?: Body
  headers?: Headers
  response: Response
}

/** A route of the admin API, whatever server it lies on. */
export interface Route {
  method: 'GET' | 'POST' | 'DELETE'
  /** Below the API's path, such as `/jobs/:name/run`. */
  path: string
  may: 'view' | 'act' | 'payloads'
  /** The answer ends when the client leaves: it has no HEAD, and its duration says nothing. */
  isEndless?: boolean
  schema: RouteSchema<z.ZodType, z.ZodType, z.ZodType, z.ZodType, Answers>
  /** Returns what the schema of the success takes, or an answer of its own. */
  handle(request: RouteRequest<unknown, unknown, unknown>): unknown
}

type Returned<Responses> = {
  [Status in keyof Responses]: Responses[Status] extends z.ZodType
    ? z.input<Responses[Status]>
    : never
}[keyof Responses]

/** Derives the types of a route from its schemas. */
export function route<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Headers extends z.ZodType,
  Responses extends Answers,
>(
  described: Omit<Route, 'schema' | 'handle'> & {
    schema: RouteSchema<Params, Query, Body, Headers, Responses>
    handle(
      request: RouteRequest<z.output<Params>, z.output<Query>, z.output<Body>, z.output<Headers>>,
    ): Returned<Responses> | Response | Promise<Returned<Responses> | Response>
  },
): Route {
  return described
}

/** Finds the route of a path below the API's; a part that is written out goes before a parameter. */
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
        names.every((name, at) => (isParameter(name) ? parts[at] !== '' : name === parts[at]))
      )
    })
    .toSorted((one, other) => one.path.split(':').length - other.path.split(':').length)
  if (!found) return undefined
  const params = found.path
    .split('/')
    .flatMap((name, at) => (isParameter(name) ? [[name.slice(1), parts[at] ?? '']] : []))
  return { route: found, params: Object.fromEntries(params) as Record<string, string> }
}

function isParameter(name: string): boolean {
  return name.startsWith(':')
}
