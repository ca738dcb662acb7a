import { Cron } from 'croner'
import { isStandardSchema, noPayload, type StandardSchemaV1 } from './standardSchema.ts'

/**
 * Words, used in no other sense:
 *   job      what can be run: a name, a payload, policies
 *   run      one execution of it, recorded as a JobRun
 *   attempt  which delivery of the same piece of work a run is, counted from 1
 *   tick     an instant that a schedule names; its outcome is in the tick ledger
 */
export interface Job<Name extends string = string, Payload = unknown, Result = unknown> {
  readonly name: Name
  readonly description: string
  readonly payload: StandardSchemaV1<unknown, Payload>
  readonly schedule: Schedule | null
  readonly timeoutMs: number
  readonly graceMs: number
  readonly retry: RetryPolicy
  readonly concurrency: number | null
  readonly rateLimit: RateLimit | null
  readonly isDestructive: boolean
  readonly guard: Guard | null
  /** Why it needs no guard though it is destructive, in a sentence. */
  readonly unguarded: string | null
  /** At most one run at a time, over all processes. */
  readonly isExclusive: boolean
  /** How its runs are kept apart from the worker's process; null when they run in it. */
  readonly isolate: IsolationLimits | null
  /** What a piece of its work is about, for people; null when it says nothing. */
  readonly label: ((payload: never) => string) | null
  /** What of a payload people are shown, by its names. */
  readonly show: readonly string[]
  /** What its handler's result is; null when it has none, and returns details. */
  readonly result: StandardSchemaV1<unknown, Result> | null
}

/** What a process of a run's own may take. */
export interface IsolationLimits {
  /**
   * Megabytes (2^20 bytes) that V8's heap may grow to. A process that is 256 MB larger than that in all, buffers
   * and native code included, is killed.
   */
  readonly memoryMb: number
}

export interface Schedule {
  /** Five fields, or six with seconds in front. */
  readonly cron: string
  /** IANA name. */
  readonly timeZone: string
  readonly missed: MissedPolicy
  readonly catchUpMs: number
  readonly overlap: OverlapPolicy
}

/**
 * At most so many starts in so much time, over all workers: evenly spaced, with at most a tenth of them at
 * once. Every attempt counts.
 */
export interface RateLimit {
  readonly limit: number
  readonly perMs: number
}

/** How much one run may change before somebody has to approve it. */
export interface Guard {
  readonly maxRows?: number
  /** Of the rows there are, from 0 to 1. */
  readonly maxShare?: number
  /**
   * So few may be changed whatever share of the rows they are: in a small table a large share is nothing
   * unusual. Default 0.
   */
  readonly minRows?: number
}

export type ScheduledJob = Job & { readonly schedule: Schedule }

export type MissedPolicy = (typeof MISSED_POLICIES)[number]
export const MISSED_POLICIES = ['once', 'all', 'skip'] as const

export type OverlapPolicy = (typeof OVERLAP_POLICIES)[number]
export const OVERLAP_POLICIES = ['skip', 'queue', 'allow'] as const

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly limit: number
  /** Before the first retry; doubled at each further one, with jitter. Rounded to whole seconds, one at least. */
  readonly delayMs: number
  /** Rounded in the same way. */
  readonly maxDelayMs: number
}

export interface ScheduleOptions {
  cron: string
  /** Default `UTC`. */
  timeZone?: string
  /**
   * What becomes of ticks that nobody was there to see. `once` (default): one run makes up for all of
   * them. `all`: each gets its run. `skip`: none does.
   */
  missed?: MissedPolicy
  /** Ticks missed longer ago are not made up for. Default one day. */
  catchUpMs?: number
  /**
   * What becomes of a tick while an earlier run has not ended. `skip` (default): nothing. `queue`: it
   * waits for its turn. `allow`: both run.
   */
  overlap?: OverlapPolicy
}

export interface JobOptions<Name extends string, Payload, Result = never> {
  /** A camelCase identifier; also the name of its queue, and of its cron variable in capitals. */
  name: Name
  /** One sentence for people: lists and the console show it. */
  description: string
  /**
   * A Standard Schema, as zod from 3.24 on, valibot and arktype make them. It must be synchronous: it is asked before a
   * payload is stored, and what it makes of that, at each attempt, is what the handler gets. Default: an empty object.
   */
  payload?: StandardSchemaV1<unknown, Payload>
  /** Default: none; the job runs when it is enqueued. */
  schedule?: ScheduleOptions
  /**
   * A run that takes longer is aborted and ends as failed with code `timeout`. Default 15 minutes, at most a day less
   * two minutes. The workers' definition counts, also for work that was enqueued before it changed.
   */
  timeoutMs?: number
  /**
   * How long a due tick may stay undecided, and a run go on beyond its time-out, before somebody should look:
   * then the schedule is late and the run overruns, and `GET /health/jobs` says so. It changes nothing else.
   * Default one minute, which a restart of the worker takes at most.
   */
  graceMs?: number
  /**
   * Default: 2 retries, after 5 s and 10 s, at most 5 minutes apart. Work that waits keeps what was said when it was
   * enqueued. No pause may be longer than a year, and no limit above a million.
   */
  retry?: Partial<RetryPolicy>
  /** Runs at once in one worker. Default: the worker's own limit. Ignored where overlap forbids it. */
  concurrency?: number
  /** How often it may start, for the sake of what it calls. Default: as often as there is work. */
  rateLimit?: RateLimit
  /**
   * Whether its runs take away for good what it finds due, many rows at once. Such a job needs a guard, or
   * a reason for having none; `worker:check` demands it. Default false.
   */
  isDestructive?: boolean
  /**
   * For jobs that remove or change much: a run that finds more due than this changes nothing and ends as
   * failed with code `guard_blocked`, until somebody approves it. Its handler has to ask `ctx.guard`.
   * Default: none.
   */
  guard?: Guard
  /** Why a destructive job needs no guard, in a sentence for people. Not together with a guard. */
  unguarded?: string
  /**
   * Carries each run out in a child process, so that an endless loop, a full memory or an exit is that run's end and
   * nobody else's: it is killed 5 s after its time-out, and beyond `memoryMb` at once. The worker needs a
   * `handlersModule`. `true` is `{ memoryMb: 512 }`; least 64. Its `concurrency` is by default no more than the
   * machine has processors. Default false: it runs in the worker's own process.
   */
  isolate?: boolean | Partial<IsolationLimits>
  /**
   * What a piece of work is about, in a few words that people find it by: `` ({ orderId }) => `Order ${orderId}` ``. It is
   * made once, when the work is enqueued, of what the schema makes of the payload, is stored with the work and its runs,
   * and cut after 200 characters. Where it throws or returns no text, the work has no label. Default: none, and nothing
   * of a payload is ever shown.
   */
  label?: (payload: NoInfer<Payload>) => string
  /**
   * What else of the payload people are shown beside it, by its names: at most 20. Texts are cut after 200 characters, and
   * lists and objects are shown as the beginning of their JSON. Default: nothing.
   */
  show?: readonly (keyof NoInfer<Payload> & string)[]
  /**
   * A Standard Schema of what the handler returns, for the program that waits for it by `client.result`: it is asked about
   * the result as JSON has it, and what it makes of that is what the program gets. A result has 64 kB as JSON, is kept as
   * long as its run, and is shown to nobody. One that is not valid, too large or no JSON ends the run as failed with code
   * `result_invalid`, `result_too_large` or `result_unstorable`, though its work is done. Default: there is no result, and
   * what the handler returns are details.
   */
  result?: StandardSchemaV1<unknown, Result>
}

const DAY_MS = 86_400_000

/** The queue gives up an attempt after a day, and two minutes of it are for ending and settling the run. */
const MAX_TIMEOUT_MS = DAY_MS - 2 * 60_000
/** Intervals and instants of both the database and this process hold them all, and work that waits is kept for longer. */
const MAX_DELAY_MS = 365 * DAY_MS
const MAX_CATCH_UP_MS = 10 * MAX_DELAY_MS
/** The queue counts attempts with 32 bits, and a redrive grants all of them again. */
const MAX_RETRIES = 1_000_000

/**
 * Defines a job, without its handler: producers import definitions and stay light.
 * @throws TypeError naming the job and what is wrong with it
 */
export function defineJob<
  const Name extends string,
  Payload = Record<string, never>,
  Result = never,
>(options: JobOptions<Name, Payload, Result>): Job<Name, Payload, Result> {
  if (!/^[a-z][A-Za-z0-9]{0,99}$/.test(options.name)) {
    throw new TypeError(
      `Job "${options.name}": a name is a camelCase identifier of at most 100 characters`,
    )
  }
  const schedule = options.schedule ? resolveSchedule(options.name, options.schedule) : null
  return {
    name: options.name,
    description: options.description,
    payload: resolvePayload(options.name, options.payload),
    schedule,
    timeoutMs: resolveTimeout(options.name, options.timeoutMs ?? 15 * 60_000),
    graceMs: positive(options.name, 'graceMs', options.graceMs ?? 60_000, MAX_DELAY_MS),
    retry: resolveRetry(options.name, options.retry),
    concurrency:
      options.concurrency === undefined
        ? null
        : positive(options.name, 'concurrency', options.concurrency),
    rateLimit: options.rateLimit
      ? {
          limit: positive(options.name, 'rateLimit.limit', options.rateLimit.limit),
          perMs: positive(options.name, 'rateLimit.perMs', options.rateLimit.perMs, MAX_DELAY_MS),
        }
      : null,
    isDestructive: options.isDestructive ?? false,
    guard: options.guard ? checkGuard(options.name, options.guard) : null,
    unguarded: checkUnguarded(options),
    isExclusive: schedule !== null && schedule.overlap !== 'allow',
    isolate: resolveIsolation(options.name, options.isolate),
    label: checkLabel(options.name, options.label),
    show: checkShow(options.name, options.show),
    result: checkResult(options.name, options.result),
  }
}

/**
 * The same job on another schedule, for an operator's override.
 * @throws TypeError when the expression or the zone is not valid, or the job has no schedule
 */
export function reschedule<J extends Job>(job: J, cron: string): J {
  if (job.schedule === null) throw new TypeError(`Job "${job.name}": it has no schedule to change`)
  return { ...job, schedule: resolveSchedule(job.name, { ...job.schedule, cron }) }
}

export function isScheduled(job: Job): job is ScheduledJob {
  return job.schedule !== null
}

function resolvePayload<Payload>(
  name: string,
  schema: StandardSchemaV1<unknown, Payload> = noPayload,
): StandardSchemaV1<unknown, Payload> {
  if (isStandardSchema(schema)) return schema
  throw new TypeError(
    `Job "${name}": payload must be a Standard Schema, such as z.object({ … }) of zod (from 3.24 on), valibot or arktype`,
  )
}

function resolveSchedule(name: string, options: ScheduleOptions): Schedule {
  const { cron, timeZone = 'UTC', missed = 'once', catchUpMs = DAY_MS, overlap = 'skip' } = options
  oneOf(name, 'schedule.missed', missed, MISSED_POLICIES)
  oneOf(name, 'schedule.overlap', overlap, OVERLAP_POLICIES)
  const problem = cronProblem(cron, timeZone)
  if (problem) throw new TypeError(`Job "${name}": ${problem}`)
  if (missed === 'all' && overlap === 'skip') {
    throw new TypeError(
      `Job "${name}": missed: 'all' wants a run for each tick and overlap: 'skip' refuses them; set overlap to 'queue' or 'allow'`,
    )
  }
  return {
    cron,
    timeZone,
    missed,
    catchUpMs: positive(name, 'catchUpMs', catchUpMs, MAX_CATCH_UP_MS),
    overlap,
  }
}

function resolveRetry(name: string, options: Partial<RetryPolicy> = {}): RetryPolicy {
  const { limit = 2, delayMs = 5_000, maxDelayMs = 5 * 60_000 } = options
  return {
    // None at all is a policy, too.
    limit: limit === 0 ? 0 : positive(name, 'retry.limit', limit, MAX_RETRIES),
    delayMs: positive(name, 'retry.delayMs', delayMs, MAX_DELAY_MS),
    maxDelayMs: positive(name, 'retry.maxDelayMs', maxDelayMs, MAX_DELAY_MS),
  }
}

/** Why an expression can't be used, in words, or null when it can. */
export function cronProblem(cron: string, timeZone = 'UTC'): string | null {
  if (typeof cron !== 'string') return 'a cron expression is a text'
  if (!isTimeZone(timeZone)) return `"${timeZone}" is not an IANA time zone, such as Europe/Berlin`
  const fields = cron.trim().split(/\s+/).length
  if (fields !== 5 && fields !== 6 && !cron.startsWith('@')) {
    return `"${cron}" is not a cron expression: it has ${fields} fields instead of 5, or 6 with seconds`
  }
  try {
    // Also refuses expressions that are well-formed and never due, such as the 31st of February.
    if (new Cron(cron, { timezone: timeZone, paused: true }).nextRun() === null) {
      return `"${cron}" is never due`
    }
  } catch (error) {
    return `"${cron}" is not a cron expression: ${(error as Error).message.replace(/^CronPattern: /, '')}`
  }
  return null
}

function checkGuard(name: string, guard: Guard): Guard {
  const { maxRows, maxShare, minRows } = guard
  if (maxRows === undefined && maxShare === undefined) {
    throw new TypeError(`Job "${name}": a guard needs maxRows or maxShare`)
  }
  if (maxRows !== undefined) positive(name, 'guard.maxRows', maxRows)
  if (maxShare !== undefined && !(maxShare > 0 && maxShare <= 1)) {
    throw new TypeError(
      `Job "${name}": guard.maxShare must be above 0 and at most 1, not ${maxShare}`,
    )
  }
  if (minRows !== undefined) {
    positive(name, 'guard.minRows', minRows)
    if (maxShare === undefined) {
      throw new TypeError(
        `Job "${name}": guard.minRows is what a share may not fall below; set maxShare, or leave it out`,
      )
    }
    if (maxRows !== undefined && minRows > maxRows) {
      throw new TypeError(
        `Job "${name}": guard.minRows (${minRows}) must not be more than guard.maxRows (${maxRows})`,
      )
    }
  }
  return guard
}

function checkUnguarded(
  options: Pick<JobOptions<string, unknown>, 'name' | 'isDestructive' | 'guard' | 'unguarded'>,
): string | null {
  const { name, isDestructive = false, guard, unguarded } = options
  if (unguarded === undefined) return null
  if (unguarded.trim() === '') {
    throw new TypeError(`Job "${name}": unguarded must say why it needs no guard, in a sentence`)
  }
  if (guard) throw new TypeError(`Job "${name}": it has a guard; leave unguarded out`)
  if (!isDestructive) {
    throw new TypeError(
      `Job "${name}": unguarded is for destructive jobs; set isDestructive, or leave it out`,
    )
  }
  return unguarded
}

const DEFAULT_MEMORY_MB = 512
/** Less does not hold Node with a database client. */
const MIN_MEMORY_MB = 64
const MAX_MEMORY_MB = 1_048_576

function resolveIsolation(
  name: string,
  isolate: boolean | Partial<IsolationLimits> = false,
): IsolationLimits | null {
  if (isolate === false) return null
  if (isolate === true) return { memoryMb: DEFAULT_MEMORY_MB }
  if (typeof isolate !== 'object' || isolate === null) {
    throw new TypeError(`Job "${name}": isolate must be true, false or { memoryMb }`)
  }
  const { memoryMb = DEFAULT_MEMORY_MB } = isolate
  if (Number.isInteger(memoryMb) && memoryMb >= MIN_MEMORY_MB && memoryMb <= MAX_MEMORY_MB) {
    return { memoryMb }
  }
  throw new TypeError(
    `Job "${name}": isolate.memoryMb must be a whole number of megabytes from ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB}, not ${String(memoryMb)}`,
  )
}

function checkResult<Result>(
  name: string,
  schema: StandardSchemaV1<unknown, Result> | null = null,
): StandardSchemaV1<unknown, Result> | null {
  if (schema === null || isStandardSchema(schema)) return schema
  throw new TypeError(
    `Job "${name}": result must be a Standard Schema, such as z.object({ … }) of zod (from 3.24 on), valibot or arktype`,
  )
}

function checkLabel(name: string, label: unknown = null): Job['label'] {
  if (label === null || typeof label === 'function') return label as Job['label']
  throw new TypeError(
    `Job "${name}": label must be a function of the payload that returns a text, such as ({ orderId }) => \`Order \${orderId}\``,
  )
}

/** So that they fit beside a run. */
const MAX_SHOWN = 20

function checkShow(name: string, show: unknown = []): readonly string[] {
  const isName = (one: unknown): one is string =>
    typeof one === 'string' && one.isWellFormed() && !/^$|\0|^__proto__$/.test(one)
  const names: readonly unknown[] | null = Array.isArray(show) ? show : null
  if (names !== null && names.length <= MAX_SHOWN && names.every(isName)) return [...names]
  throw new TypeError(
    `Job "${name}": show must be a list of at most ${MAX_SHOWN} names of the payload, such as ['orderId']`,
  )
}

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function resolveTimeout(name: string, timeoutMs: number): number {
  if (positive(name, 'timeoutMs', timeoutMs) <= MAX_TIMEOUT_MS) return timeoutMs
  throw new TypeError(
    `Job "${name}": timeoutMs must be at most ${MAX_TIMEOUT_MS} (a day, less two minutes), not ${timeoutMs}; divide the work, and have each run enqueue the next`,
  )
}

function positive(name: string, option: string, value: number, max = Infinity): number {
  if (!(Number.isSafeInteger(value) && value > 0)) {
    throw new TypeError(`Job "${name}": ${option} must be a positive whole number, not ${value}`)
  }
  if (value <= max) return value
  throw new TypeError(`Job "${name}": ${option} must be at most ${max}, not ${value}`)
}

function oneOf(name: string, option: string, value: string, values: readonly string[]): void {
  if (values.includes(value)) return
  throw new TypeError(`Job "${name}": ${option} must be one of ${values.join(', ')}`)
}
