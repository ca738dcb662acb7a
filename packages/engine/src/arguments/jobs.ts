import { Cron } from 'croner'
import type {
  Guard,
  IsolationLimits,
  Job,
  JobOptions,
  RetryPolicy,
  Schedule,
} from '../job/defineJob.ts'
import type { ConcurrencyOptions, Partition, SharedLimit } from '../job/limits.ts'
import type { Signal } from '../job/signal.ts'
import type { StepDefinition } from '../job/step.ts'
import { isStandardSchema, noPayload, type StandardSchemaV1 } from '../values/standardSchema.ts'
import {
  ArgumentError,
  asItIs,
  checkBoolean,
  checkDate,
  checkOptions,
  checkParts,
  checkText,
  listOf,
  madeElsewhere,
  MAX_CONCURRENCY,
  namedAfter,
  nullable,
  objectOf,
  oneOf,
  optional,
  positive,
  tell,
  type Check,
  type Checked,
} from '../values/argument.ts'

/*
 * Definitions of jobs and limits.
 */

export const MISSED_POLICIES = ['once', 'all', 'skip'] as const
export const OVERLAP_POLICIES = ['skip', 'queue', 'allow'] as const
export const KEY_ORDERS = ['fair', 'fifo'] as const

const DAY_MS = 86_400_000
/** The queue treats an attempt as hung after at most a day. Two minutes of it are for ending and settling the run. */
const MAX_TIMEOUT_MS = DAY_MS - 2 * 60_000
/** Within this limit, intervals and instants fit in PostgreSQL and JavaScript, and waiting work is kept for longer. */
const MAX_DELAY_MS = 365 * DAY_MS
export const MAX_CATCH_UP_MS = 10 * MAX_DELAY_MS
/** The queue counts attempts with 32 bits, and a retry of a dead letter grants all of them again. */
const MAX_RETRIES = 1_000_000
const MAX_GLOBAL = 1_000_000
const MAX_SHARED_LIMITS = 2
/** More fields would not fit beside a run in the console. */
const MAX_SHOWN = 20
const DEFAULT_MEMORY_MB = 512
/** Node with a database client needs at least this. */
const MIN_MEMORY_MB = 64
const MAX_MEMORY_MB = 1_048_576

export const checkName: Check<string> = (argument, value) => {
  if (typeof value === 'string' && /^[a-z][A-Za-z0-9]{0,99}$/.test(value)) return value
  throw new ArgumentError(
    argument,
    `must be a camelCase identifier of at most 100 characters, not ${tell(value)}`,
  )
}

export const checkSchema: Check<StandardSchemaV1<unknown, never>> = (argument, value) => {
  if (isStandardSchema(value)) return value as StandardSchemaV1<unknown, never>
  throw new ArgumentError(
    argument,
    'must be a Standard Schema, such as z.object({ … }) of zod (from 3.24 on), valibot or arktype',
  )
}

const SCHEDULE = {
  cron: asItIs as Check<string>,
  timeZone: asItIs as Check<string | undefined>,
  missed: optional(oneOf(MISSED_POLICIES)),
  catchUpMs: optional(positive(MAX_CATCH_UP_MS)),
  overlap: optional(oneOf(OVERLAP_POLICIES)),
}
const SCHEDULE_HINTS = { timezone: 'did you mean timeZone?', tz: 'did you mean timeZone?' }

const checkSchedule: Check<Schedule> = (argument, value) => {
  const checked = objectOf(SCHEDULE, SCHEDULE_HINTS)(argument, value)
  const { missed = 'once', catchUpMs = DAY_MS, overlap = 'skip' } = checked
  const { cron, timeZone } = checkCron(argument, checked)
  if (missed === 'all' && overlap === 'skip')
    throw new ArgumentError(
      `${argument}.missed`,
      "is 'all', which wants a run for each tick, and overlap: 'skip' refuses them; set overlap to 'queue' or 'allow'",
    )
  return { cron, timeZone, missed, catchUpMs, overlap }
}

function checkCron(
  argument: string,
  { cron, timeZone = 'UTC' }: { cron: string; timeZone?: string | undefined },
): { cron: string; timeZone: string } {
  const ofZone = zoneProblem(timeZone)
  if (ofZone !== null) throw new ArgumentError(`${argument}.timeZone`, `cannot be used: ${ofZone}`)
  const ofCron = cronProblem(cron, timeZone)
  if (ofCron !== null) throw new ArgumentError(`${argument}.cron`, `cannot be used: ${ofCron}`)
  return { cron, timeZone }
}

/** The reason why a cron expression cannot be used. Null if it can. */
export function cronProblem(cron: string, timeZone = 'UTC'): string | null {
  if (typeof cron !== 'string') return 'a cron expression is a text'
  const ofZone = zoneProblem(timeZone)
  if (ofZone !== null) return ofZone
  const fields = cron.trim().split(/\s+/).length
  if (fields !== 5 && fields !== 6 && !cron.startsWith('@')) {
    return `"${cron}" is not a cron expression: it has ${fields} fields instead of 5, or 6 with seconds`
  }
  try {
    // Also refuses well-formed expressions that are never due, such as the 31st of February.
    if (new Cron(cron, { timezone: timeZone, paused: true }).nextRun() === null) {
      return `"${cron}" is never due`
    }
  } catch (error) {
    return `"${cron}" is not a cron expression: ${(error as Error).message.replace(/^CronPattern: /, '')}`
  }
  return null
}

function zoneProblem(timeZone: unknown): string | null {
  if (typeof timeZone !== 'string') return 'a time zone is a text'
  try {
    if (new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone !== '') return null
  } catch {
    // It is not a valid expression.
  }
  return `"${timeZone}" is not an IANA time zone, such as Europe/Berlin`
}

const CALENDAR = { cron: checkText, timeZone: checkText }

/** Checks the arguments of a search for the next instants of a schedule. */
export function checkTickQuestion(schedule: unknown, after: unknown) {
  const calendar = checkParts('schedule', schedule, CALENDAR, 'schedule.')
  return { ...checkCron('schedule', calendar), after: checkDate('after', after) }
}

const RETRY = {
  // 0 is allowed: no retries.
  limit: optional<number>((argument, value) =>
    value === 0 ? 0 : positive(MAX_RETRIES)(argument, value),
  ),
  delayMs: optional(positive(MAX_DELAY_MS)),
  maxDelayMs: optional(positive(MAX_DELAY_MS)),
}
const RETRY_HINTS = { retries: 'did you mean limit?', attempts: 'set limit, one less' }

const checkRetry: Check<RetryPolicy> = (argument, value) => {
  const checked = objectOf(RETRY, RETRY_HINTS)(argument, value)
  const { limit = 2, delayMs = 5_000, maxDelayMs = 5 * 60_000 } = checked
  return { limit, delayMs, maxDelayMs }
}

const CONCURRENCY = {
  perWorker: optional(positive(MAX_CONCURRENCY)),
  global: optional(positive(MAX_GLOBAL)),
  perKey: optional(positive(MAX_GLOBAL)),
}

const checkConcurrencyOptions: Check<ConcurrencyOptions> = (argument, value) => {
  if (typeof value === 'number') return { perWorker: positive(MAX_CONCURRENCY)(argument, value) }
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    throw new ArgumentError(
      argument,
      `must be a number, or { perWorker, global, perKey }, not ${tell(value)}`,
    )
  return objectOf(CONCURRENCY)(argument, value) as ConcurrencyOptions
}

const checkKeyFunction: Check<Partition['key']> = (argument, value) => {
  if (typeof value === 'function') return value as Partition['key']
  throw new ArgumentError(
    argument,
    'must be a function of the payload that returns a text, such as ({ tenantId }) => tenantId',
  )
}
const PARTITION = { key: checkKeyFunction, order: optional(oneOf(KEY_ORDERS)) }

const checkPartition: Check<Partition> = (argument, value) => {
  const { key, order = 'fair' } = objectOf(PARTITION)(argument, value)
  return { key, order }
}

const RATE = { limit: positive(), perMs: positive(MAX_DELAY_MS) }
const RATE_HINTS = { max: 'did you mean limit?', duration: 'did you mean perMs?' }
const checkRate = objectOf({ ...RATE, by: optional(oneOf(['job', 'key'])) }, RATE_HINTS)
const checkSharedRate = objectOf(RATE, {
  ...RATE_HINTS,
  by: 'jobs have keys, and a shared limit counts all starts; leave it out',
})

/** A rate without its unset properties. */
const rateOf = ({
  limit,
  perMs,
  by,
}: Checked<typeof RATE> & { by?: 'job' | 'key' | undefined }) => ({
  limit,
  perMs,
  ...(by !== undefined && { by }),
})

const SHARED = { name: checkText, global: asItIs }
const checkShared: Check<SharedLimit> = (argument, value) => {
  if (typeof value === 'object' && value !== null && 'name' in value && 'global' in value) {
    checkParts(argument, value, SHARED, `${argument}.`)
    return value as SharedLimit
  }
  throw new ArgumentError(argument, 'must be what defineLimit returns')
}

const checkLimits: Check<SharedLimit[]> = (argument, value) => {
  const limits = listOf(checkShared)(argument, value)
  const names = limits.map(({ name }) => name)
  if (limits.length <= MAX_SHARED_LIMITS && new Set(names).size === limits.length) return limits
  throw new ArgumentError(
    argument,
    `must be at most ${MAX_SHARED_LIMITS} limits, each once, not ${names.join(', ')}`,
  )
}

const checkShare: Check<number> = (argument, value) => {
  if (typeof value === 'number' && value > 0 && value <= 1) return value
  throw new ArgumentError(argument, `must be above 0 and at most 1, not ${tell(value)}`)
}
const GUARD = {
  maxRows: optional(positive()),
  maxShare: optional(checkShare),
  minRows: optional(positive()),
}

const checkGuard: Check<Guard> = (argument, value) => {
  const { maxRows, maxShare, minRows } = objectOf(GUARD)(argument, value)
  if (maxRows === undefined && maxShare === undefined)
    throw new ArgumentError(argument, 'needs maxRows or maxShare')
  if (minRows !== undefined && maxShare === undefined)
    throw new ArgumentError(
      `${argument}.minRows`,
      'is the number of rows below which no share counts; set maxShare, or leave it out',
    )
  if (minRows !== undefined && maxRows !== undefined && minRows > maxRows)
    throw new ArgumentError(
      `${argument}.minRows`,
      `(${minRows}) must not be more than ${argument}.maxRows (${maxRows})`,
    )
  return {
    ...(maxRows !== undefined && { maxRows }),
    ...(maxShare !== undefined && { maxShare }),
    ...(minRows !== undefined && { minRows }),
  }
}

const checkMemory: Check<number> = (argument, value) => {
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= MIN_MEMORY_MB &&
    value <= MAX_MEMORY_MB
  )
    return value
  throw new ArgumentError(
    argument,
    `must be a whole number of megabytes from ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB}, not ${tell(value)}`,
  )
}
const ISOLATION = { memoryMb: optional(checkMemory) }

const checkIsolation: Check<IsolationLimits | null> = (argument, value) => {
  if (value === false) return null
  if (value !== true && (typeof value !== 'object' || value === null))
    throw new ArgumentError(argument, `must be true, false or { memoryMb }, not ${tell(value)}`)
  const { memoryMb = DEFAULT_MEMORY_MB } = objectOf(ISOLATION)(
    argument,
    value === true ? {} : value,
  )
  return { memoryMb }
}

const checkReason: Check<string> = (argument, value) => {
  const text = checkText(argument, value)
  if (text.trim() !== '') return text
  throw new ArgumentError(argument, 'must say why it needs no guard, in a sentence')
}

const checkLabel: Check<Job['label']> = (argument, value) => {
  if (typeof value === 'function') return value as Job['label']
  throw new ArgumentError(
    argument,
    'must be a function of the payload that returns a text, such as ({ orderId }) => `Order ${orderId}`',
  )
}

const checkShow: Check<readonly string[]> = (argument, value) => {
  const isName = (one: unknown) =>
    typeof one === 'string' && one.isWellFormed() && !/^$|\0|^__proto__$/.test(one)
  if (Array.isArray(value) && value.length <= MAX_SHOWN && value.every(isName))
    return [...(value as string[])]
  throw new ArgumentError(
    argument,
    `must be a list of at most ${MAX_SHOWN} names of the payload, such as ['orderId']`,
  )
}

const checkRedact: Check<Job['redact']> = (argument, value) => {
  if (typeof value === 'function') return value as Job['redact']
  throw new ArgumentError(
    argument,
    "must be a function of a text that returns a text, such as (text) => text.replaceAll(/DE\\d{20}/g, '[IBAN]')",
  )
}

export const checkSignal = madeElsewhere<Signal>(
  { name: checkName, payload: checkSchema },
  'what defineSignal returns',
)

const STEP = {
  effect: optional(oneOf(['once'] as const)),
  result: optional(checkSchema),
  retry: optional(checkRetry),
  signal: optional(checkSignal),
  was: optional(listOf(checkName)),
}

const checkSteps: Check<Record<string, StepDefinition>> = (argument, value) => {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    throw new ArgumentError(argument, `must name steps, such as { mail: {} }, not ${tell(value)}`)
  const steps = Object.entries(value).map(([name, given]): [string, StepDefinition] => {
    const of = `${argument}.${checkName(argument, name)}`
    const {
      effect = null,
      result = null,
      retry = null,
      signal = null,
      was = [],
    } = objectOf(STEP)(of, given)
    return [name, { effect, result, retry, signal, was }]
  })
  const names = steps.flatMap(([name, { was }]) => [name, ...was])
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice === undefined) return Object.fromEntries(steps)
  throw new ArgumentError(
    argument,
    `has ${twice} twice; a name, also an earlier one, is of one step`,
  )
}

/** A century: beyond it, an instant may be outside PostgreSQL's range. */
const MAX_DEADLINE_MS = 100 * 365 * 86_400_000

const JOB = {
  name: checkName,
  description: optional(checkText),
  payload: optional(checkSchema),
  schedule: optional(checkSchedule),
  timeoutMs: optional(
    positive(
      MAX_TIMEOUT_MS,
      ' (a day, less two minutes); divide the work, and have each run enqueue the next',
    ),
  ),
  deadlineMs: optional(positive(MAX_DEADLINE_MS)),
  retry: optional(checkRetry),
  concurrency: optional(checkConcurrencyOptions),
  partition: optional(checkPartition),
  limits: optional(checkLimits),
  rateLimit: optional(checkRate),
  isDestructive: optional(checkBoolean),
  guard: optional(checkGuard),
  unguarded: optional(checkReason),
  dryRun: optional(checkBoolean),
  isolate: optional(checkIsolation),
  label: optional(checkLabel),
  show: optional(checkShow),
  redact: optional(checkRedact),
  result: optional(checkSchema),
  steps: optional(nullable(checkSteps)),
} satisfies Record<keyof JobOptions<string, unknown, unknown>, unknown>

const JOB_HINTS = {
  cron: "set schedule: { cron: '…' }",
  timeZone: 'set schedule: { cron, timeZone }',
  handler: 'give the worker its handlers: createWorker({ jobs, handlers })',
  handle: 'give the worker its handlers: createWorker({ jobs, handlers })',
  run: 'give the worker its handlers: createWorker({ jobs, handlers })',
  schema: 'did you mean payload?',
  input: 'did you mean payload?',
  retries: 'set retry: { limit }',
  attempts: 'set retry: { limit }, which is one less',
  maxAttempts: 'set retry: { limit }, which is one less',
  delay: 'set retry: { delayMs }, or startAfter where you enqueue',
  priority: 'set it where you enqueue',
}

/** Checks a definition, and fills in the defaults. */
export function checkJobOptions(options: unknown): Job<string, never, never> {
  const { name: given } = checkParts('options', options, { name: asItIs })
  return namedAfter(`Job ${tell(given)}`, () => {
    const checked = checkOptions('options', options, JOB, { hints: JOB_HINTS })
    const { name, schedule = null, isDestructive = false, guard = null, unguarded = null } = checked
    if (unguarded !== null && guard !== null)
      throw new ArgumentError('unguarded', 'is for jobs without a guard; leave one of them out')
    if (unguarded !== null && !isDestructive)
      throw new ArgumentError(
        'unguarded',
        'is for destructive jobs; set isDestructive, or leave it out',
      )
    const { partition = null, rateLimit, concurrency = {}, steps = null } = checked
    const isFifo = partition?.order === 'fifo'
    if (steps !== null)
      for (const [option, isSet] of [
        ['isolate', (checked.isolate ?? null) !== null],
        ['guard', guard !== null],
        ['dryRun', checked.dryRun === true],
        ['partition.order', isFifo],
      ] as const)
        if (isSet)
          throw new ArgumentError(option, 'does not go with steps yet; leave one of them out')
    if (steps === null && checked.deadlineMs !== undefined)
      throw new ArgumentError('deadlineMs', 'is for jobs with steps; set timeoutMs, or name steps')
    const { perWorker = null, global = null, perKey = null } = concurrency
    if (partition === null && perKey !== null) throw needsPartition('concurrency.perKey')
    if (partition === null && rateLimit?.by === 'key') throw needsPartition('rateLimit.by')
    if (isFifo && perKey !== null && perKey > 1)
      throw new ArgumentError(
        'concurrency.perKey',
        `is 1 with the order fifo, not ${perKey}; leave it out, or take the order fair`,
      )
    return {
      name,
      description: checked.description ?? '',
      payload: checked.payload ?? noPayload,
      schedule,
      timeoutMs: checked.timeoutMs ?? 15 * 60_000,
      deadlineMs: checked.deadlineMs ?? null,
      retry: checked.retry ?? checkRetry('retry', {}),
      concurrency: perWorker,
      globalConcurrency: global,
      concurrencyPerKey: isFifo ? 1 : perKey,
      partition,
      limits: checked.limits ?? [],
      rateLimit: rateLimit === undefined ? null : rateOf(rateLimit),
      isDestructive,
      guard,
      unguarded,
      dryRun: checked.dryRun ?? false,
      isExclusive: schedule !== null && schedule.overlap !== 'allow',
      isolate: checked.isolate ?? null,
      label: checked.label ?? null,
      show: checked.show ?? [],
      redact: checked.redact ?? null,
      result: checked.result ?? null,
      steps,
    }
  })
}

function needsPartition(option: string): ArgumentError {
  return new ArgumentError(
    option,
    'needs to know the key of a piece of work; set partition: { key: (payload) => … }',
  )
}

/** Checks another expression for a job's schedule. */
export function checkReschedule<J extends Job>(job: J, cron: unknown, setBy: unknown): Schedule {
  const given = checkJob('job', job)
  return namedAfter(`Job "${given.name}"`, () => {
    if (given.schedule === null) throw new ArgumentError('schedule', 'is missing: set one first')
    const schedule = {
      ...given.schedule,
      ...checkCron('schedule', { ...given.schedule, cron: cron as string }),
    }
    const by = optional(checkText)('setBy', setBy)
    return by === undefined ? schedule : { ...schedule, setBy: by }
  })
}

const LIMIT = {
  name: checkName,
  global: optional(positive(MAX_GLOBAL)),
  rateLimit: optional(checkSharedRate),
}

export function checkLimitOptions(options: unknown): SharedLimit {
  const { name: given } = checkParts('options', options, { name: asItIs })
  return namedAfter(`Limit ${tell(given)}`, () => {
    const { name, global = null, rateLimit } = checkOptions('options', options, LIMIT)
    if (global === null && rateLimit === undefined)
      throw new ArgumentError('options', 'limit nothing; set global, rateLimit, or both')
    return { name, global, rateLimit: rateLimit === undefined ? null : rateOf(rateLimit) }
  })
}

const DEFINED = {
  name: checkText,
  payload: checkSchema,
  timeoutMs: positive(),
  retry: objectOf(RETRY),
  schedule: nullable<object>((argument, value) => checkParts(argument, value, CALENDAR)),
}

/** Checks that a value is a job that `defineJob` has returned. */
export const checkJob = madeElsewhere<Job>(DEFINED, 'what defineJob returns')

/** Refuses a dry run of a job that does not declare it: its handler's effects outside of batches would be real. */
export function expectDryRun(job: Job, isWanted: boolean | undefined): void {
  if (isWanted !== true) return
  const { name, dryRun } = checkJob('job', job)
  if (dryRun) return
  throw new ArgumentError('dryRun', `is refused: the definition of ${name} has no dryRun: true`)
}

/** Checks a list of jobs with distinct names. */
export const checkJobs: Check<Job[]> = (argument, value) => {
  const jobs = listOf(checkJob)(argument, value)
  const names = jobs.map(({ name }) => name)
  const second = names.findIndex((name, at) => names.indexOf(name) !== at)
  if (second === -1) return jobs
  throw new ArgumentError(
    `${argument}[${second}]`,
    `is a second job with the name ${names[second]}; leave one out`,
  )
}
