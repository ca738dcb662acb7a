import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DatabaseClient } from '@roundsman/db'
import { noSchemaCompilers, serverTimeouts, type ServerTimeoutOptions } from '@roundsman/node-app'
import type { JobsClient } from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { Metrics, Tracing } from '@roundsman/node-app/telemetry'
import { roundsman } from '@roundsman/fastify'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  LogController,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { randomUUID } from 'node:crypto'
import helmet from 'helmet'
import { authentication } from './auth/authentication.ts'
import { documentation } from './http/documentation.ts'
import { metrics } from './http/metrics.ts'
import { tracing } from './http/tracing.ts'
import { sessions } from './auth/sessions.ts'
import { answerClientError, answerError, problems } from './http/problems.ts'
import { consoleSessionRoutes } from './auth/consoleSessionRoutes.ts'
import { authRoutes } from './auth/authRoutes.ts'
import { emailRoutes } from './mail/emailRoutes.ts'
import { healthRoutes } from './jobs/healthRoutes.ts'
import { invoicePdfRoutes } from './invoices/invoicePdfRoutes.ts'
import { invoiceRoutes } from './invoices/invoiceRoutes.ts'
import { previewSessionRoutes } from './previews/previewSessionRoutes.ts'
import { publicPreviewRoutes } from './previews/publicPreviewRoutes.ts'
import { translationRoutes } from './translations/translationRoutes.ts'

export interface AppOptions {
  prisma: DatabaseClient
  /** Started. It puts into the queue what an admin asks for. */
  jobsClient: JobsClient
  /** The catalogue: what can be asked for. */
  jobs: readonly Job[]
  /** Shown and asked for like those of the catalogue, and no matter of health. Default: none. */
  demoJobs?: readonly Job[]
  /** Signs the access tokens; at least 32 characters. */
  jwtSecret: string
  /** From `createApiLogger`, which keeps secrets out of the log. Default: no log. */
  logger?: FastifyBaseLogger
  /** Served at `/metrics` to whoever has the token. Default: no metrics. */
  metrics?: { metrics: Metrics; token: string } | undefined
  /** Default: nothing is traced. */
  tracing?: Pick<Tracing, 'traceRequest'> | undefined
  /** What the console's header calls the place; red for `production`. Default: what NODE_ENV says. */
  environment?: string
  /** Of the product, for the console's header. */
  version?: string
  /** How often those who follow the changes are told that the connection holds. Default 10,000 ms. */
  pingIntervalMs?: number
  /** Where the console's build lies. Default: where `pnpm build` puts it. */
  consoleDir?: string
  /** Default: the system's clock. */
  now?: () => Date
  /** What stands behind the @ in the ids of messages. Default `roundsman.localhost`. */
  mailDomain?: string | undefined
  /** How long `/health/ready` and `/health/jobs` wait for the database. Default 2,000 ms. */
  readinessTimeoutMs?: number
  /** How often it is checked whether who follows the events still may. Default 15,000 ms. */
  eventsRecheckMs?: number
  /** How long requests may take to come, and connections may be silent. */
  timeouts?: ServerTimeoutOptions
}

/** Longer than any token, locale or key that is looked up by its path. */
const MAX_PARAM_LENGTH = 512
const BODY_LIMIT_BYTES = 64 * 1024

/**
 * The application: every plugin and route, not listening yet. It neither reads nor ends the
 * process.
 */
export function buildApp(options: AppOptions): FastifyInstance {
  const { prisma, jobsClient, jobs, demoJobs = [], jwtSecret, logger } = options
  const { reader } = jobsClient
  const { now = () => new Date(), readinessTimeoutMs = 2_000 } = options
  const { mailDomain = 'roundsman.localhost', consoleDir } = options
  const { eventsRecheckMs: recheckMs, pingIntervalMs, environment, version } = options
  const limits = serverTimeouts(options.timeouts)
  const app = Fastify({
    ...(logger && { loggerInstance: logger }),
    logController: requestLog,
    // Unlike a counter, also unique in the log of many processes.
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A request on an open connection is served while the others drain, and its connection then
    // closed.
    return503OnClosing: false,
    schemaController: noSchemaCompilers,
    ...limits,
    // Node's own refusal would have no content; ours is a problem document.
    http: { ...limits.http, requireHostHeader: false },
    frameworkErrors: answerError,
    clientErrorHandler: answerClientError,
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // Nothing here reads text, and a parser for it would turn a 415 into a puzzling 400.
  app.removeContentTypeParser('text/plain')

  // First, so that everything else is part of it.
  if (options.tracing) app.register(tracing, { tracing: options.tracing })
  app.register(problems)
  if (options.metrics) app.register(metrics, options.metrics)
  app.register(securityHeaders)
  app.register(documentation)
  app.register(sessions, { jwtSecret })
  app.register(authentication, { prisma, jwtSecret, now })

  app.register(async (scope) => {
    scope.register(roundsman, {
      client: jobsClient,
      jobs: [...jobs, ...demoJobs],
      authorize: scope.authorizeAdmin,
      hasSessions: true,
      security: [{ accessToken: [] }],
      describedAs: 'zod',
      consoleDir,
      now,
      ...(environment !== undefined && { environment }),
      ...(version !== undefined && { version }),
      ...(recheckMs !== undefined && { recheckMs }),
      ...(pingIntervalMs !== undefined && { pingIntervalMs }),
    })
  })

  app.register(async (scope) => {
    // Answers depend on who asks and on when; none of them may be kept by a browser or a proxy.
    scope.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store')
    })
    scope.register(authRoutes, { prisma })
    scope.register(previewSessionRoutes, { prisma, jobsClient, now })
    scope.register(publicPreviewRoutes, { prisma, now })
    scope.register(translationRoutes, { prisma, now })
    scope.register(invoiceRoutes, { prisma, jobsClient, now })
    scope.register(invoicePdfRoutes, { prisma, jobsClient })
    scope.register(emailRoutes, { prisma, jobsClient, now, mailDomain })
    scope.register(consoleSessionRoutes, { prisma })
    scope.register(healthRoutes, { prisma, reader, jobs, now, readinessTimeoutMs })
  })
  return app
}

/** Helmet's headers on every answer. They are always the same, so it is asked for them once. */
const securityHeaders = fastifyPlugin(async (app) => {
  const headers = readHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
})

function readHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  const response: Pick<ServerResponse, 'setHeader' | 'removeHeader'> = {
    setHeader(name, value) {
      headers[name.toLowerCase()] = String(value)
      return response as ServerResponse
    },
    removeHeader: () => undefined,
  }
  const protect = helmet({
    // The same as by default, but for upgrade-insecure-requests: it would break a start without TLS.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  })
  protect({} as IncomingMessage, response as ServerResponse, () => undefined)
  return headers
}

/**
 * One line for each request, once it is answered: two, both written at once, are a tenth of what a request costs.
 * What has begun and not ended shows with LOG_LEVEL=debug.
 */
class RequestLog extends LogController {
  override incomingRequest(request: FastifyRequest): void {
    request.log.debug({ req: request }, 'incoming request')
  }

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const line = { req: request, res: reply, responseTime: reply.elapsedTime }
    if (error) reply.log.error({ ...line, err: error }, 'request errored')
    else reply.log.info(line, 'request completed')
  }
}

const requestLog = new RequestLog()
