import type { Readable } from 'node:stream'
import type { Authorize } from '@roundsman/admin'
import { problemResponses } from '@roundsman/admin/http'
import {
  asPrefix,
  containedLog,
  createAdmin,
  fromNode,
  openUnlessAway,
  type AdminOptions,
  type Visit,
} from '@roundsman/admin/internal'
import type { FastifyPluginAsync, FastifyRequest, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { answerError, sendAnswer } from './answerError.ts'
import { describeRoute, type DescribedSchema } from './describeRoute.ts'
import { checkPluginOptions, linkedPrefix } from './options.ts'

export interface RoundsmanOptions extends AdminOptions {
  /** Returns the user of a request and their rights. The host does the log-in. */
  authorize: Authorize<FastifyRequest>
  /** The routes' security requirements in OpenAPI. Default: none. */
  security?: readonly Record<string, readonly string[]>[]
  /**
   * `zod`: the host lets @fastify/swagger transform zod's schemas, and these routes like its own. Default `json`: they are
   * described as JSON Schema, independent of the host.
   */
  describedAs?: 'json' | 'zod'
}

const plugin: FastifyPluginAsync<RoundsmanOptions> = async (scope, given) => {
  const options = checkPluginOptions(given)
  const { describedAs = 'json' } = options
  const authorize = options.authorize as RoundsmanOptions['authorize']
  const security = options.security as RoundsmanOptions['security']
  const { apiPrefix = '/api', consolePath = '/console' } = options
  const admin = createAdmin({
    ...options,
    basePath: consolePath === null ? '' : linkedPrefix(scope.prefix),
  })
  // Fastify waits for connections to end before it closes: event streams would not end by themselves.
  scope.addHook('preClose', async () => admin.endStreams())
  scope.addHook('onClose', () => admin.close())
  scope.addHook('onReady', () => openUnlessAway(admin, scope.log))

  scope.setErrorHandler(answerError)
  // The routes check, parse and write by themselves, independent of the host's settings.
  scope.setValidatorCompiler(() => () => true)
  scope.setSerializerCompiler(() => JSON.stringify)
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', async (_request: FastifyRequest, payload: unknown) => payload)

  const visit = (request: FastifyRequest, reply: FastifyReply): Visit => {
    const { headers, ...others } = fromNode(request.raw, reply.raw)
    // Depends on the host's setting to trust its proxy.
    headers.set('host', request.host)
    const body = request.body as Readable | undefined
    return {
      ...others,
      headers,
      // An iterator that ended the request would close the connection, and with it the answer.
      body: body?.iterator({ destroyOnReturn: false }) ?? null,
      target: request.raw.url ?? '/',
      id: request.id,
      log: containedLog(request.log),
      ask: () => authorize(request),
    }
  }

  const api = asPrefix(apiPrefix)
  for (const route of admin.routes) {
    const { method, path, isEndless = false } = route
    const schema: DescribedSchema = {
      ...route.schema,
      // For every route: while the database is away.
      response: { ...route.schema.response, ...problemResponses(503) },
      ...(security && { security }),
    }
    scope.route({
      method,
      url: api + path,
      schema,
      exposeHeadRoute: !isEndless,
      config: {
        // For a host that measures requests: the duration of this one is meaningless.
        ...(isEndless && { isEndless }),
        ...(describedAs === 'json' && { swaggerTransform: describeRoute }),
      },
      handler: async (request, reply) => {
        sendAnswer(reply, await admin.answerRoute(route, request.params, visit(request, reply)))
        return reply
      },
    })
  }

  if (consolePath === null) return
  const page = asPrefix(consolePath)
  for (const url of [page || '/', `${page}/*`]) {
    scope.get(url, { schema: HIDDEN }, async (request, reply) => {
      sendAnswer(reply, await admin.answer(visit(request, reply)))
      return reply
    })
  }
}

/** Keeps the routes out of an OpenAPI document. */
const HIDDEN: DescribedSchema = { hide: true }

/** Admin API and console: `app.register(roundsman, { client, jobs, authorize })`. It does not change the host's own routes. */
export const roundsman: FastifyPluginAsync<RoundsmanOptions> = fastifyPlugin(plugin, {
  name: '@roundsman/fastify',
  fastify: '5.x',
  encapsulate: true,
})
