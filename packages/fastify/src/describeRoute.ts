import { problemResponses } from '@roundsman/admin/http'
import type { FastifySchema, RouteOptions } from 'fastify'
import { z } from 'zod'

/** The parts of a schema for @fastify/swagger, whose types some hosts lack. */
export interface DescribedSchema extends FastifySchema {
  hide?: boolean
  security?: readonly Record<string, readonly string[]>[]
}

/** The argument of a transform of @fastify/swagger. `openapiObject` is the document so far. */
interface Described {
  schema: DescribedSchema | undefined
  url: string
  route: RouteOptions
  openapiObject?: { openapi?: string }
}

/**
 * Describes a route for @fastify/swagger, independent of the host's own descriptions. It leaves routes out of a Swagger 2
 * document, which does not support current JSON Schema.
 */
export function describeRoute({ schema, url, route, openapiObject }: Described): {
  schema: object
  url: string
} {
  if (schema === undefined) return { schema: {}, url }
  const { openapi } = openapiObject ?? {}
  if (schema.hide === true || openapi === undefined) return { schema: { hide: true }, url }
  const { body, querystring, params, headers, response, ...rest } = schema
  const target = openapi.startsWith('3.0') ? 'openapi-3.0' : 'draft-2020-12'
  const toJson = (io: 'input' | 'output') => (one: unknown) => {
    if (!(one instanceof z.ZodType)) return one
    const { $schema: _, ...json } = z.toJSONSchema(one, { io, target, unrepresentable: 'any' })
    return json
  }
  const answers = { ...answersBefore(route), ...(response as object) }
  return {
    schema: {
      ...rest,
      ...mapValues({ body, querystring, params, headers }, toJson('input')),
      response: mapValues(answers, (answer) => {
        if (!hasContent(answer)) return toJson('output')(answer)
        const content = mapValues(answer.content, (media) => ({
          schema: toJson('output')((media as { schema: unknown }).schema),
        }))
        return { ...answer, content }
      }),
    },
    url,
  }
}

const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** The refusals that come before a route runs: for the request's address, body or origin. */
export function answersBefore({ method, url, config }: RouteOptions) {
  const takesBody = [method].flat().some((name) => METHODS_WITH_BODY.has(name))
  const isForAnyone = config !== undefined && 'isForAnyone' in config && config.isForAnyone === true
  return problemResponses(
    400,
    431,
    ...(url.includes(':') ? ([414] as const) : []),
    ...(takesBody ? ([413, 415] as const) : []),
    ...(takesBody && !isForAnyone ? ([403] as const) : []),
  )
}

function hasContent(answer: unknown): answer is { content: Record<string, unknown> } {
  return typeof answer === 'object' && answer !== null && 'content' in answer
}

function mapValues(
  record: Record<string, unknown>,
  map: (value: unknown) => unknown,
): Record<string, unknown> {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)]))
}
