import { ArgumentError, type Job } from '@roundsman/engine'
import { CLIENT_PROTOCOL } from '@roundsman/engine/internal'
import { TablesError, type JobsClient } from '@roundsman/engine/client'
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ConsoleEnvironment } from './contract.ts'
import { createGate, refuseForeignOrigins, type Authorize } from './access.ts'
import { consoleFiles } from './console/consoleFiles.ts'
import { consoleRoutes } from './console/consoleRoutes.ts'
import { createChanges } from './console/createChanges.ts'
import { answerError } from './http/answerError.ts'
import {
  describeRoute,
  serializerCompiler,
  validatorCompiler,
  type DescribedSchema,
} from './http/zodRoutes.ts'
import { deadLetterRoutes } from './jobs/deadLetterRoutes.ts'
import { eventRoutes } from './jobs/eventRoutes.ts'
import { jobRoutes } from './jobs/jobRoutes.ts'
import { jobRunRoutes } from './jobs/jobRunRoutes.ts'
import { runsCsvRoutes } from './jobs/runsCsvRoutes.ts'
import { workRoutes } from './jobs/workRoutes.ts'

export interface RoundsmanOptions {
  /** The plugin starts it if need be. The host stops it, once the server is closed. */
  client: JobsClient
  /** The catalogue: the jobs that people can run. */
  jobs: readonly Job[]
  /** Says who asks and what they may do. The host does the log-in. */
  authorize: Authorize
  /** The API's path, below the plugin's own prefix. Default `/api`. */
  apiPrefix?: string
  /** The console's path, below the plugin's own prefix; null for no console. Default `/console`. */
  consolePath?: string | null
  /** Where the console sends somebody who has to log in. Default: it only says so. */
  loginUrl?: string
  /**
   * The host has `<apiPrefix>/console/session`, by which the console logs in and out with its own form: see
   * `ConsoleSession` of `@roundsman/fastify/contract`. Default: false.
   */
  hasSessions?: boolean
  /** The routes' security requirements in OpenAPI. Default: none. */
  security?: readonly Record<string, readonly string[]>[]
  /**
   * `zod`: the host has @fastify/swagger transform zod's schemas, and these routes like its own. Default `json`: they
   * are described as JSON Schema, whatever the host does.
   */
  describedAs?: 'json' | 'zod'
  /**
   * What the console's header calls the place, red where that is production. Default: what NODE_ENV says, or
   * `production` in a deployment on Replit.
   */
  environment?: string | { name: string; isProduction: boolean }
  /** The product's version, for the console's header. Default: none. */
  version?: string
  /** How often the server pings those who follow the events. Default 10,000 ms. */
  pingIntervalMs?: number
  /** How often the server checks that those who follow the events still may. Default 15,000 ms. */
  recheckMs?: number
  /** The directory of the console's build. Default: in this package. */
  consoleDir?: string | undefined
  /** Default: the system's clock. */
  now?: () => Date
}

const BODY_LIMIT_BYTES = 64 * 1024

const plugin: FastifyPluginAsync<RoundsmanOptions> = async (scope, options) => {
  const { client, jobs, authorize, security, describedAs = 'json' } = options
  const { apiPrefix = '/api', consolePath = '/console', consoleDir } = options
  const { pingIntervalMs = 10_000, recheckMs = 15_000, now = () => new Date() } = options
  const { hasSessions = false, loginUrl = '', version = null } = options
  checkOptions(options)
  const api = asPrefix(apiPrefix)
  const gate = createGate(authorize)
  const changes = createChanges(client)
  scope.addHook('onClose', () => changes.close())
  scope.addHook('onReady', () => startUnlessAway(client, scope.log))

  scope.setErrorHandler(answerError)
  scope.addHook('onRoute', (route) => {
    route.bodyLimit ??= BODY_LIMIT_BYTES
    const schema: DescribedSchema | undefined = route.schema
    if (schema === undefined) return
    if (security !== undefined && schema.hide !== true) schema.security ??= security
    if (describedAs === 'json')
      Object.assign((route.config ??= {}), { swaggerTransform: describeRoute })
  })

  if (consolePath !== null) {
    const path = asPrefix(consolePath)
    const prefix = linkedPrefix(scope.prefix)
    const settings = {
      base: prefix + path,
      api: prefix + api,
      hasSessions,
      loginUrl,
    }
    await scope.register(consoleFiles, { path, settings, folder: consoleDir })
  }

  await scope.register(
    async (routes) => {
      routes.setValidatorCompiler(validatorCompiler)
      routes.setSerializerCompiler(serializerCompiler)
      // The host may read bodies of any type. These routes take only JSON.
      routes.removeAllContentTypeParsers()
      routes.addContentTypeParser(
        'application/json',
        { parseAs: 'string' },
        routes.getDefaultJsonParser('error', 'error'),
      )
      // Answers depend on who asks and when: no browser or proxy may keep one.
      routes.addHook('onRequest', async (_request, reply) => {
        reply.header('cache-control', 'no-store')
      })
      routes.addHook('onRequest', refuseForeignOrigins)
      const { reader } = client
      await routes.register(jobRoutes, { gate, client, jobs, now })
      await routes.register(jobRunRoutes, { gate, client })
      await routes.register(runsCsvRoutes, { gate, reader })
      await routes.register(eventRoutes, { gate, changes, pingIntervalMs, recheckMs })
      await routes.register(deadLetterRoutes, { gate, client, jobs })
      await routes.register(workRoutes, { gate, client, jobs })
      const environment = {
        ...describeEnvironment(options.environment),
        version,
        database: client.place,
      }
      await routes.register(consoleRoutes, { gate, reader, jobs, now, environment })
    },
    { prefix: api },
  )
}

/** Stops a server whose tables are missing or of another version. One whose database is away for a moment starts. */
async function startUnlessAway(
  client: JobsClient,
  log: Pick<FastifyBaseLogger, 'warn'>,
): Promise<void> {
  try {
    await client.start()
  } catch (error) {
    if (error instanceof TablesError) throw error
    log.warn({ err: error }, 'the job tables could not be checked at start')
  }
}

/**
 * Admin API and console: `app.register(roundsman, { client, jobs, authorize })`. It leaves the host's own routes as they
 * are.
 */
export const roundsman: FastifyPluginAsync<RoundsmanOptions> = fastifyPlugin(plugin, {
  name: '@roundsman/fastify',
  fastify: '5.x',
  encapsulate: true,
})

function describeEnvironment(
  said: RoundsmanOptions['environment'],
): Pick<ConsoleEnvironment, 'name' | 'isProduction'> {
  if (typeof said === 'object') return said
  // oxlint-disable-next-line eslint/no-restricted-properties -- a host that says nothing is told from production all the same
  const { NODE_ENV, REPLIT_DEPLOYMENT } = process.env
  const name = said ?? (REPLIT_DEPLOYMENT === '1' ? PRODUCTION : (NODE_ENV ?? 'development'))
  return { name, isProduction: name === PRODUCTION }
}

const PRODUCTION = 'production'

/** The longest that Node's timers wait: they fire at once when they are to wait for longer. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * How the page's links begin. Fastify keeps the slash at the end of a prefix, and a link that began with two would lead to
 * another host.
 */
function linkedPrefix(prefix: string): string {
  if (!/^\/\/|[:*]/.test(prefix)) return prefix.replace(/\/$/, '')
  throw new ArgumentError(
    'prefix',
    `has to be a path such as /admin, without parameters, for a console below it, not ${prefix}; or set consolePath to null`,
  )
}

/**
 * What foreign code may have set otherwise than its type says.
 * @throws ArgumentError which names the option
 * @throws TypeError when the client is of another version
 */
export function checkOptions(
  options: Omit<RoundsmanOptions, 'authorize'> & { authorize: unknown; basePath?: string },
): void {
  for (const option of ['pingIntervalMs', 'recheckMs'] as const) {
    const ms: unknown = options[option] ?? 1
    if (typeof ms === 'number' && ms >= 1 && ms <= MAX_TIMER_MS) continue
    throw new ArgumentError(
      option,
      `must be a number of ms from 1 to ${MAX_TIMER_MS}, not ${String(ms)}`,
    )
  }
  checkClient(options.client)
  checkJobs(options.jobs)
  const { authorize, now = Date, environment = '', loginUrl = '' } = options
  if (typeof authorize !== 'function')
    throw new ArgumentError('authorize', 'must be a function that says who asks')
  if (typeof now !== 'function')
    throw new ArgumentError('now', 'must be a function that returns a Date')
  if (!isEnvironment(environment))
    throw new ArgumentError('environment', 'must be a text, or an object { name, isProduction }')
  // A script behind the button would run with the rights of whoever presses it.
  if (typeof loginUrl !== 'string' || !/^https?:$/.test(URL.parse(loginUrl, HERE)?.protocol ?? ''))
    throw new ArgumentError('loginUrl', 'must be a path or an address of http or https')
  for (const option of ['apiPrefix', 'consolePath', 'basePath'] as const) {
    const path: unknown = options[option] ?? ''
    if (typeof path === 'string' && (asPrefix(path) === '' || PATH.test(path))) continue
    throw new ArgumentError(
      option,
      'has to be a path such as /admin/jobs, without a slash at its end',
    )
  }
}

/** Clients resolve parts of dots alone, so they never ask for such a path. */
const PATH = /^(\/(?!\.\.?(\/|$))[\w.~-]+)+$/
const HERE = 'http://here'

function checkClient(client: unknown): void {
  if (typeof client !== 'object' || client === null)
    throw new ArgumentError('client', 'must be what createJobsClient returns')
  const { protocol } = client as { protocol?: unknown }
  if (protocol === CLIENT_PROTOCOL) return
  throw new TypeError(
    `@roundsman/fastify and the @roundsman/engine of this client do not go together (the client's protocol is ${String(protocol)} ` +
      `instead of ${CLIENT_PROTOCOL}): install the same version of both`,
  )
}

function checkJobs(jobs: unknown): void {
  if (!Array.isArray(jobs)) throw new ArgumentError('jobs', 'must be a list of jobs')
  const names = jobs.map((job: unknown) => (job as Partial<Job> | null | undefined)?.name)
  for (const [at, name] of names.entries()) {
    if (typeof name !== 'string')
      throw new ArgumentError(`jobs[${at}]`, 'must be what defineJob returns')
    if (names.indexOf(name) !== at)
      throw new ArgumentError(`jobs[${at}]`, `is a second job named ${name}; leave one out`)
  }
}

function isEnvironment(said: unknown): boolean {
  if (typeof said !== 'object' || said === null) return typeof said === 'string'
  const { name, isProduction } = said as { name?: unknown; isProduction?: unknown }
  return typeof name === 'string' && typeof isProduction === 'boolean'
}

/** The form in which it can be put before other paths. */
export function asPrefix(path: string): string {
  return path === '/' ? '' : path
}
