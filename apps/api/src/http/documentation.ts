import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { problemResponses } from './problem.ts'

const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** OpenAPI at /docs/json, made of the routes' schemas, and a page to browse and try it at /docs. */
export const documentation = fastifyPlugin(async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Roundsman',
        version: '0.1.0',
        description:
          'Errors are problem documents (RFC 9457) with the content type application/problem+json.',
      },
      components: {
        securitySchemes: {
          accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'roundsman_session',
            description:
              'Of the console, and good wherever an access token is. A change takes the header x-csrf-token as well.',
          },
        },
      },
    },
    transform: (described) => {
      // Undefined for a route that has none, whatever its type says.
      const schema = described.schema as typeof described.schema | undefined
      if (!schema) return jsonSchemaTransform(described)
      const response = { ...answersBefore(described.route), ...asObject(schema.response) }
      return jsonSchemaTransform({ ...described, schema: { ...schema, response } })
    },
    transformObject: jsonSchemaTransformObject,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
})

/** How a request can be refused before its route is asked: for its address, its body or its session. */
function answersBefore({ method, url, config }: RouteOptions) {
  const takesBody = [method].flat().some((name) => METHODS_WITH_BODY.has(name))
  return problemResponses(
    400,
    431,
    ...(url.includes(':') ? ([414] as const) : []),
    ...(takesBody ? ([413, 415] as const) : []),
    ...(takesBody && config?.isForAnyone !== true ? ([403] as const) : []),
  )
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}
