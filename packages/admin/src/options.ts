import { ArgumentError, type HostLogger, type Job } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import {
  asItIs,
  checkBoolean,
  checkFunction,
  checkJobs,
  checkOptions,
  checkParts,
  checkActorText,
  checkText,
  checkTimerMs,
  CLIENT_PROTOCOL,
  loggerOf,
  nullable,
  objectOf,
  optional,
  tell,
  wholeNumber,
  type Check,
} from '@roundsman/engine/internal'
import type { Authorize } from './access.ts'
import type { ConsoleEnvironment } from './contract.ts'
import type { NodeHandlerOptions } from './createNodeHandler.ts'
import type { ServeConsoleOptions } from './serveConsole.ts'

/** What every server of the console takes. */
export interface AdminOptions {
  /** It is started if need be. The host stops it, once the server is closed. */
  client: JobsClient
  /** The catalogue: the jobs that people can run. */
  jobs: readonly Job[]
  /** The API's path, below `basePath`. Default `/api`. */
  apiPrefix?: string
  /** The console's path, below `basePath`; null for no console. Default `/console`. */
  consolePath?: string | null
  /**
   * The path at which browsers see the handler, if it differs from `basePath` or the plugin's prefix. It differs behind a proxy
   * that removes a part of the path, and in Next.js with a `basePath` of its own. Default: the path that the server sees.
   */
  publicPath?: string
  /** The page to which the console sends people who are not logged in. Default: the console shows a message only. */
  loginUrl?: string
  /**
   * The address of a trace, with `{traceId}` in it: `https://jaeger.example.com/trace/{traceId}`. The page of a run links to it.
   * Only http and https are allowed. Default: the page shows the trace's id without a link.
   */
  traceUrl?: string
  /**
   * Whether the host serves `<apiPrefix>/console/session`, with which the console logs people in and out by its own form. See
   * `ConsoleSession` of `@roundsman/admin/contract`. Default: false.
   */
  hasSessions?: boolean
  /**
   * The name of the environment in the console's header, which is red in production. Default: the value of NODE_ENV, or
   * `production` in a deployment on Replit.
   */
  environment?: string | { name: string; isProduction: boolean }
  /** The product's version, for the console's header. Default: none. */
  version?: string
  /** How often the server pings browsers that follow the events. Default: 10,000 ms. */
  pingIntervalMs?: number
  /** How often the server calls `authorize` again for browsers that follow the events. Default: 15,000 ms. */
  recheckMs?: number
  /** The directory of the console's build. Default: in this package. */
  consoleDir?: string | undefined
  /** Default: the system's clock. */
  now?: () => Date
}

export function describeEnvironment(
  said: AdminOptions['environment'] | undefined,
): Pick<ConsoleEnvironment, 'name' | 'isProduction'> {
  if (typeof said === 'object') return said
  // oxlint-disable-next-line eslint/no-restricted-properties -- a host without this option is still told from production
  const { NODE_ENV, REPLIT_DEPLOYMENT } = process.env
  const name = said ?? (REPLIT_DEPLOYMENT === '1' ? PRODUCTION : (NODE_ENV ?? 'development'))
  return { name, isProduction: name === PRODUCTION }
}

const PRODUCTION = 'production'

/** Clients resolve parts of dots alone, so they never ask for such a path. */
const PATH = /^(\/(?!\.\.?(\/|$))[\w.~-]+)+$/
const HERE = 'http://here'

const checkPath: Check<string> = (argument, value) => {
  if (typeof value === 'string' && (asPrefix(value) === '' || PATH.test(value))) return value
  throw new ArgumentError(
    argument,
    `has to be a path such as /admin/jobs, without a slash at its end, not ${tell(value)}`,
  )
}

/** A script behind the button would run with the rights of the person who presses it. */
const checkLoginUrl: Check<string> = (argument, value) => {
  if (typeof value === 'string' && /^https?:$/.test(URL.parse(value, HERE)?.protocol ?? ''))
    return value
  throw new ArgumentError(
    argument,
    `must be a path or an address of http or https, not ${tell(value)}`,
  )
}

const checkTraceUrl: Check<string> = (argument, value) => {
  const isWeb = typeof value === 'string' && /^https?:$/.test(URL.parse(value)?.protocol ?? '')
  if (isWeb && value.includes('{traceId}')) return value
  throw new ArgumentError(
    argument,
    `must be an address of http or https with {traceId} in it, not ${tell(value)}`,
  )
}

const ENVIRONMENT = { name: checkText, isProduction: checkBoolean }
const checkEnvironment: Check<NonNullable<AdminOptions['environment']>> = (argument, value) =>
  typeof value === 'string' ? checkText(argument, value) : objectOf(ENVIRONMENT)(argument, value)

/** A client has functions of its own, which are called as they are. */
const checkClient: Check<JobsClient> = (argument, value) => {
  if (typeof value !== 'object' || value === null)
    throw new ArgumentError(argument, `must be what createJobsClient returns, not ${tell(value)}`)
  const { protocol } = checkParts(argument, value, { protocol: asItIs })
  if (protocol === CLIENT_PROTOCOL) return value as JobsClient
  throw new ArgumentError(
    argument,
    `and this @roundsman/admin do not go together (the client's protocol is ${tell(protocol)} ` +
      `instead of ${CLIENT_PROTOCOL}): install the same version of both`,
  )
}

export const ADMIN = {
  client: checkClient,
  jobs: checkJobs,
  apiPrefix: optional(checkPath),
  consolePath: optional(nullable(checkPath)),
  publicPath: optional(checkPath),
  loginUrl: optional(checkLoginUrl),
  traceUrl: optional(checkTraceUrl),
  hasSessions: optional(checkBoolean),
  environment: optional(checkEnvironment),
  version: optional(checkText),
  pingIntervalMs: optional(checkTimerMs),
  recheckMs: optional(checkTimerMs),
  consoleDir: optional(checkText),
  now: optional(checkFunction<() => Date>),
} satisfies Record<keyof AdminOptions, unknown>
export const ADMIN_HINTS = {
  auth: 'did you mean authorize?',
  authenticate: 'did you mean authorize?',
  prefix: 'did you mean apiPrefix?',
  logger: 'did you mean log?',
}

/** Who asks is the host's to say: its own function is called with its own request. */
export const checkAuthorize: Check<(...asked: never[]) => ReturnType<Authorize>> = checkFunction

const HANDLER = {
  ...ADMIN,
  authorize: checkAuthorize,
  basePath: optional(checkPath),
  log: loggerOf<Pick<HostLogger, 'warn' | 'error'>>(),
} satisfies Record<keyof NodeHandlerOptions, unknown>

/** Those of both request handlers. */
export function checkHandlerOptions(options: unknown) {
  return checkOptions('options', options, HANDLER, { hints: ADMIN_HINTS })
}

const checkHost: Check<string> = (argument, value) => {
  // Node would listen on all addresses.
  if (value !== '') return checkText(argument, value)
  throw new ArgumentError(argument, 'is empty; name an address, such as 127.0.0.1')
}

const CONSOLE = {
  client: optional(checkClient),
  databaseUrl: optional(checkText),
  schema: optional(checkText),
  jobs: checkJobs,
  host: optional(checkHost),
  port: optional(wholeNumber(0, 65_535)),
  actor: optional(checkActorText),
  log: loggerOf<Pick<HostLogger, 'warn' | 'error'>>(),
  consoleDir: optional(checkText),
} satisfies Record<keyof ServeConsoleOptions, unknown>

export function checkConsoleOptions(options: unknown) {
  const checked = checkOptions('options', options, CONSOLE)
  if (checked.client === undefined && checked.databaseUrl === undefined)
    throw new ArgumentError('databaseUrl', 'is missing: pass it, or a client')
  return checked
}

/** @throws ArgumentError for what the system refuses */
export function refuseToListen(option: 'host' | 'port', cause: unknown): ArgumentError {
  const { message } = cause as Error
  return new ArgumentError(option, `cannot be listened on: ${message}`, { cause })
}

/** The form in which it can be put before other paths. */
export function asPrefix(path: string): string {
  return path === '/' ? '' : path
}
