import type {
  FastifyPluginAsync,
  FastifySchema,
  FastifySchemaCompiler,
  FastifySerializerCompiler,
  FastifyTypeProvider,
  RawServerDefault,
  RouteOptions,
} from 'fastify'
import { z } from 'zod'
import { problemResponses } from './problem.ts'

/** What a route's schemas are, for its types. */
export interface ZodTypes extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown
}

export type ZodRoutes<Options extends object> = FastifyPluginAsync<
  Options,
  RawServerDefault,
  ZodTypes
>

/** A request that its route's schema refuses. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
  readonly statusCode = 400
  /** As it came through the framework: `body`, `querystring`, `params` or `headers`. */
  validationContext?: string
  readonly issues: readonly z.core.$ZodIssue[]

  constructor(issues: readonly z.core.$ZodIssue[]) {
    super('The request does not match its schema')
    this.issues = issues
  }
}

export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const { success, data: value, error } = schema.safeParse(data)
    return success ? { value } : { error: new SchemaMismatch(error.issues) }
  }

export const serializerCompiler: FastifySerializerCompiler<z.ZodType> =
  ({ schema }) =>
  (data) =>
    JSON.stringify(z.encode(schema, data))

/** What a schema may say to @fastify/swagger, whose types not every host has. */
export interface DescribedSchema extends FastifySchema {
  hide?: boolean
  security?: readonly Record<string, readonly string[]>[]
}

/** What @fastify/swagger hands over; that of OpenAPI has the document so far. */
interface Described {
  schema: DescribedSchema | undefined
  url: string
  route: RouteOptions
  openapiObject?: { openapi?: string }
}

/**
 * For @fastify/swagger, whichever way the host describes its own routes. In a document of Swagger 2, which knows no
 * JSON Schema of today, the routes are left out.
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

/** How a request can be refused before its route is asked: for its address, its body or where it comes from. */
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
