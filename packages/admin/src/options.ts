import { ArgumentError, type Job } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import { CLIENT_PROTOCOL } from '@roundsman/engine/internal'
import type { ConsoleEnvironment } from './contract.ts'

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
   * How browsers see the handler's `basePath`, or the plugin's prefix, where something in front takes a part off: a proxy, or
   * Next.js with a `basePath` of its own. Default: as the server sees it.
   */
  publicPath?: string
  /** Where the console sends somebody who has to log in. Default: it only says so. */
  loginUrl?: string
  /**
   * The host has `<apiPrefix>/console/session`, by which the console logs in and out with its own form: see
   * `ConsoleSession` of `@roundsman/admin/contract`. Default: false.
   */
  hasSessions?: boolean
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

export function describeEnvironment(
  said: AdminOptions['environment'],
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
 * What foreign code may have set otherwise than its type says.
 * @throws ArgumentError which names the option
 * @throws TypeError when the client is of another version
 */
export function checkOptions(
  options: AdminOptions & { authorize: unknown; basePath?: string },
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
  for (const option of ['apiPrefix', 'consolePath', 'basePath', 'publicPath'] as const) {
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
    `@roundsman/admin and the @roundsman/engine of this client do not go together (the client's protocol is ${String(protocol)} ` +
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
