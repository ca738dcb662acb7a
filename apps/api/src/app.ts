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
  /** A client that was started. Routes enqueue and read work through it. */
  jobsClient: JobsClient
  /** The product's jobs. Admins see and run them, and `/health/jobs` judges them. */
  jobs: readonly Job[]
  /** Jobs that admins see and run as well, but `/health/jobs` leaves out. Default: none. */
  demoJobs?: readonly Job[]
  /** Signs the access tokens; at least 32 characters. */
  jwtSecret: string
  /** From `createApiLogger`, which keeps secrets out of the log. Default: no log. */
  logger?: FastifyBaseLogger
  /** The API serves these at `/metrics` to whoever sends the token. Default: no metrics. */
  metrics?: { metrics: Metrics; token: string } | undefined
  /** Default: nothing is traced. */
  tracing?: Pick<Tracing, 'traceRequest'> | undefined
  /** The name of this installation in the console's header, in red for `production`. Default: NODE_ENV. */
  environment?: string
  /** The product's version, for the console's header. */
  version?: string
  /** Where a trace is shown, with `{traceId}` for its id. Default: the console links to none. */
  traceUrl?: string | undefined
  /** How often the event stream tells its readers that the connection holds. Default 10,000 ms. */
  pingIntervalMs?: number
  /** The folder of the console's build. Default: where `pnpm build` puts it. */
  consoleDir?: string
  /** Default: the system's clock. */
  now?: () => Date
  /** The domain in the Message-IDs of our e-mails. Default `roundsman.localhost`. */
  mailDomain?: string | undefined
  /** How long `/health/ready` and `/health/jobs` wait for the database. Default 2,000 ms. */
  readinessTimeoutMs?: number
  /** How often the event stream checks whether its reader still may read. Default 15,000 ms. */
  eventsRecheckMs?: number
  /** How slow requests and how silent connections may be. Default: as in serverTimeouts. */
  timeouts?: ServerTimeoutOptions
}

/** Longer than any token, locale or key in a path. Fastify's default of 100 is too short for a key. */
const MAX_PARAM_LENGTH = 512
const BODY_LIMIT_BYTES = 64 * 1024

/**
 * Builds the application with every plugin and route; the caller has it listen. It neither reads the process's
 * environment nor ends the process.
 */
export function buildApp(options: AppOptions): FastifyInstance {
  const { prisma, jobsClient, jobs, demoJobs = [], jwtSecret, logger } = options
  const { reader } = jobsClient
  const { now = () => new Date(), readinessTimeoutMs = 2_000 } = options
  const { mailDomain = 'roundsman.localhost', consoleDir } = options
  const { eventsRecheckMs: recheckMs, pingIntervalMs, environment, version, traceUrl } = options
  const limits = serverTimeouts(options.timeouts)
  const app = Fastify({
    ...(logger && { loggerInstance: logger }),
    logController: requestLog,
    // A counter would give the same ids in the logs of several processes.
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // While the server closes, it still answers a request that comes on an open connection, and then closes that
    // connection.
    return503OnClosing: false,
    schemaController: noSchemaCompilers,
    ...limits,
    // Node would refuse a request without a Host header with an empty answer; `problems` refuses it with a document.
    http: { ...limits.http, requireHostHeader: false },
    frameworkErrors: answerError,
    clientErrorHandler: answerClientError,
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // No route reads text. With Fastify's parser for it, such a request would get a puzzling 400 instead of a 415.
  app.removeContentTypeParser('text/plain')

  // First, so that a request's span covers all other hooks.
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
      ...(traceUrl !== undefined && { traceUrl }),
      ...(recheckMs !== undefined && { recheckMs }),
      ...(pingIntervalMs !== undefined && { pingIntervalMs }),
    })
  })

  app.register(async (scope) => {
    // Answers depend on who asks and when, so no browser or proxy may keep them.
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

/** Sets Helmet's headers on every answer. They never differ, so Helmet is asked once. */
const securityHeaders = fastifyPlugin(async (app) => {
  const headers = readHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
})

/** Has Helmet write to a stand-in for a response, and returns the headers that it set. */
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
    // Helmet's defaults without upgrade-insecure-requests: without TLS, browsers could not load the console.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  })
  protect({} as IncomingMessage, response as ServerResponse, () => undefined)
  return headers
}

/**
 * Logs one line for each request, once it is answered: Fastify's own two lines take a tenth of what a request costs.
 * LOG_LEVEL=debug also shows requests as they come in.
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
