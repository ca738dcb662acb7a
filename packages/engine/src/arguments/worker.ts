import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Days, Retention } from '../control/pruneJobRuns.ts'
import type { Job } from '../job/defineJob.ts'
import type { TraceEnqueue } from '../job/enqueue.ts'
import type { HostLogger } from '../job/logger.ts'
import type { RunOptions } from '../worker/run.ts'
import type { PingerOptions } from '../run/createPinger.ts'
import type { WorkerObserver } from '../run/observer.ts'
import type { RunOnceOptions } from '../worker/runOnce.ts'
import type { MigrateOptions } from '../tables/migrate.ts'
import type { Clock } from '../tick/clock.ts'
import type { WorkerOptions } from '../worker/workerOptions.ts'
import {
  ArgumentError,
  asItIs,
  checkActorText,
  checkBoolean,
  checkConcurrency,
  checkFunction,
  checkId,
  checkOptions,
  checkSignal,
  checkText,
  checkTexts,
  checkWaitMs,
  listOf,
  loggerOf,
  objectOf,
  oneOf,
  optional,
  tell,
  whileReading,
  wholeNumber,
  type Check,
  type Hints,
} from '../values/argument.ts'
import { checkAlerts } from './alerts.ts'
import { checkDatabaseUrl, checkSchema, CONNECTION_HINTS } from './connection.ts'
import { checkJob, checkJobs, expectDryRun } from './jobs.ts'
import { findNearest } from '../values/nearest.ts'

/*
 * Options of everything that runs jobs: createWorker, run, runOnce, migrate, createPinger.
 */

const checkDays = optional(wholeNumber(1, 36_500))
const DAYS = {
  runDays: checkDays,
  failedDays: checkDays,
  actionDays: checkDays,
  keyedTickDays: checkDays,
} satisfies Record<keyof Retention, unknown>

/** Checks the retention and fills in the defaults. */
export const checkRetention: Check<Days> = (argument, value) => {
  const given = objectOf(DAYS)(argument, value)
  const { runDays = 30, failedDays = Math.max(90, runDays), actionDays = 365 } = given
  const { keyedTickDays = Math.min(7, runDays) } = given
  return { runDays, failedDays, actionDays, keyedTickDays }
}

const DAY_MS = 86_400_000

/** Requires a ledger that is kept for longer than any catch-up: a worker would decide a pruned tick again. */
export function expectLedgerKept({ runDays }: Days, jobs: readonly Job[]): void {
  for (const { name, schedule } of jobs) {
    if (schedule === null || schedule.catchUpMs <= runDays * DAY_MS) continue
    const least = Math.ceil(schedule.catchUpMs / DAY_MS)
    throw new ArgumentError(
      'retention.runDays',
      `is ${runDays}, but job "${name}" makes up for ticks of ${least} days, which the ledger forgets sooner; set ${least} or more, or lower its catchUpMs`,
    )
  }
}

/** The URL or path of the file that isolated runs load, as a URL. */
const checkModule: Check<string> = (argument, value) => {
  const text = value instanceof URL ? value.href : value
  if (typeof text === 'string' && /^(file|data):/.test(text)) return text
  if (typeof text === 'string' && isAbsolute(text)) return pathToFileURL(text).href
  throw new ArgumentError(
    argument,
    `must be a file's URL or absolute path, not ${tell(text)}; give new URL('./handlers.js', import.meta.url)`,
  )
}

/** @throws ArgumentError if a job is isolated, and no file for its process is named */
export function expectModule(module: string | undefined, jobs: readonly Job[]): void {
  if (module !== undefined) return
  const names = jobs.flatMap(({ name, isolate }) => (isolate === null ? [] : [name]))
  if (names.length === 0) return
  throw new ArgumentError(
    'handlersModule',
    `is missing, and ${names.join(', ')} must run isolated; set handlersModule: new URL('./handlers.js', import.meta.url), or leave isolate out`,
  )
}

/** Does not read the handlers: a host may load them on first access. */
export const checkHandlers: Check<object> = (argument, value) => {
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') return value
  throw new ArgumentError(
    argument,
    `must be an object with a handler for each job, not ${tell(value)}`,
  )
}

/** The options that a worker and a run by hand share. */
const COMMON = {
  databaseUrl: checkDatabaseUrl,
  schema: checkSchema,
  client: asItIs,
  version: optional(checkText),
  handlersModule: optional(checkModule),
  log: loggerOf<HostLogger>(),
  keepLogs: optional(checkBoolean),
  observers: optional(listOf(asItIs as Check<WorkerObserver>)),
  traceEnqueue: optional(checkFunction<TraceEnqueue>),
  now: optional(checkFunction<() => Date>),
}

const WORKER = {
  ...COMMON,
  jobs: checkJobs,
  handlers: checkHandlers,
  retention: optional<Days | false>(
    (argument, value) => value !== false && checkRetention(argument, value),
  ),
  concurrency: optional(checkConcurrency),
  drainTimeoutMs: optional(checkWaitMs),
  uncaught: optional(oneOf(['contain', 'leave'])),
  onFatal: optional(checkFunction<(error: unknown) => void>),
  watchdog: optional(checkBoolean),
  except: optional(checkTexts),
  only: optional(checkTexts),
  alerts: optional(checkAlerts),
  clock: optional(checkFunction<Clock>),
} satisfies Record<keyof WorkerOptions<[], never>, unknown>

export const WORKER_HINTS: Hints = {
  ...CONNECTION_HINTS,
  pool: 'did you mean client?',
  prisma: 'did you mean client?',
  handler: 'did you mean handlers?',
}

/** @throws ArgumentError that names the option and the remedy */
export function checkWorkerOptions(options: unknown) {
  return checkOptions('options', options, WORKER, { hints: WORKER_HINTS })
}

const RUN = {
  ...WORKER,
  client: optional(asItIs),
  migrate: optional(checkBoolean),
} satisfies Record<keyof RunOptions<[], never>, unknown>

/** Checks the options of `run`, and returns its own: `createWorker` checks the others again. */
export function checkRunOptions(options: unknown) {
  const {
    migrate = false,
    databaseUrl,
    schema,
    log,
  } = checkOptions('options', options, RUN, {
    hints: WORKER_HINTS,
  })
  return { migrate, databaseUrl, schema, log }
}

const STOP = { drainTimeoutMs: optional(checkWaitMs) }

export function checkStopOptions(options: unknown) {
  return checkOptions('options', options, STOP)
}

const ONCE = {
  ...COMMON,
  job: checkJob,
  handler: optional(checkFunction<never>),
  retention: optional(checkRetention),
  payload: asItIs,
  deadLetter: optional(checkId),
  dryRun: optional(checkBoolean),
  actor: optional(checkActorText),
  signal: optional(checkSignal),
} satisfies Record<keyof RunOnceOptions<Job, never>, unknown>

export function checkOnceOptions(options: unknown, isOwn: (job: Job) => boolean) {
  const given = checkOptions('options', options, ONCE, { hints: WORKER_HINTS })
  if (given.handler === undefined && !isOwn(given.job))
    throw new ArgumentError('handler', `is missing: pass that of ${given.job.name}`)
  if (given.deadLetter !== undefined && given.dryRun === true)
    throw new ArgumentError('dryRun', 'is for other runs: that of a dead letter is a real attempt')
  expectDryRun(given.job, given.dryRun)
  return given
}

export const MIGRATE = {
  databaseUrl: checkDatabaseUrl,
  schema: checkSchema,
  log: loggerOf<Partial<HostLogger>>(),
} satisfies Record<keyof MigrateOptions, unknown>

export function checkMigrateOptions(options: unknown) {
  return checkOptions('options', options, MIGRATE)
}

/** The error does not show an address, since anyone who has it can report success. */
const checkUrls: Check<Map<string, URL>> = (argument, value) => {
  if (!(value instanceof Map))
    throw new ArgumentError(argument, `must be a Map of URLs by job, not ${tell(value)}`)
  for (const [name, url] of value as Map<unknown, unknown>)
    if (typeof name !== 'string' || !(url instanceof URL) || !/^https?:$/.test(url.protocol))
      throw new ArgumentError(
        argument,
        `must have an http or https URL for each name of a job, which it has not for ${tell(name)}`,
      )
  return new Map(value as Map<string, URL>)
}

const PINGER = {
  urls: checkUrls,
  log: loggerOf<Pick<HostLogger, 'warn'>>(),
  onOutcome: optional(checkFunction<NonNullable<PingerOptions['onOutcome']>>),
} satisfies Record<keyof PingerOptions, unknown>

export function checkPingerOptions(options: unknown) {
  return checkOptions('options', options, PINGER, { hints: { logger: 'did you mean log?' } })
}

const PINGER_CLOSE = { timeoutMs: optional(checkWaitMs) }

export function checkPingerClose(options: unknown) {
  return checkOptions('options', options, PINGER_CLOSE)
}

/** Refuses a handler of the engine's own job, which the worker has already. */
export function refuseHandlerOf(own: Pick<Job, 'name'>, handlers: object): void {
  if (!whileReading('handlers', () => own.name in handlers)) return
  throw new ArgumentError(
    `handlers.${own.name}`,
    "is a handler of the engine's own job; take it out, and set retention instead",
  )
}

/** `only` and `except` name jobs of the worker; `only` names at least one. `except` may name the engine's own job, though it has none. */
export function expectKnown(
  { only, except }: { only?: readonly string[] | undefined; except: readonly string[] },
  jobs: readonly Job[],
  own: string,
): void {
  if (only?.length === 0)
    throw new ArgumentError(
      'only',
      'names no job, and the worker would do nothing; name one, or leave it out',
    )
  const known = jobs.map(({ name }) => name)
  for (const [option, names] of Object.entries({ only, except })) {
    const unknown = names?.find((name) => !known.includes(name) && name !== own)
    if (unknown === undefined) continue
    const meant = findNearest(unknown, known)
    const remedy = meant === null ? `; there are ${known.join(', ')}` : `: did you mean ${meant}?`
    throw new ArgumentError(
      option,
      `names ${tell(unknown)}, which is no job of this worker${remedy}`,
    )
  }
}
