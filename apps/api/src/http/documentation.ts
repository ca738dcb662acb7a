import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastifyPlugin from 'fastify-plugin'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problemSchema } from '@roundsman/admin/http'
import { answersBefore } from '@roundsman/fastify/http'
import { readVersion } from '@roundsman/node-app'

/** Serves OpenAPI, made from the routes' schemas, at /docs/json, and a page to read and try it at /docs. */
export const documentation = fastifyPlugin(async (app) => {
  z.globalRegistry.add(problemSchema, { ...problemSchema.meta(), id: 'Problem' })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Roundsman',
        version: readVersion(join(import.meta.dirname, '..')),
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
              'The session cookie of the console; it is accepted wherever an access token is. A change needs the header x-csrf-token as well.',
          },
        },
      },
    },
    transform: (described) => {
      // A route without a schema has undefined here, whatever the type says.
      const schema = described.schema as typeof described.schema | undefined
      if (!schema) return jsonSchemaTransform(described)
      const response = { ...answersBefore(described.route), ...asObject(schema.response) }
      return jsonSchemaTransform({ ...described, schema: { ...schema, response } })
    },
    transformObject: jsonSchemaTransformObject,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
})

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}
