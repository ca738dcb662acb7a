import { asItIs, checkParts, MAX_CONCURRENCY, tell } from './argument.ts'
import { askSchema, SCHEMA_FAILED } from './askSchema.ts'
import type { Job, RateLimit } from './defineJob.ts'
import { JobError } from './jobError.ts'
import { storableText } from './storableText.ts'

/*
 * Limits and keys in the definition of a job: what workers keep to over all processes.
 */

/** How the work of a job is divided, so that each key gets its share. */
export interface Partition {
  /** The key of a piece of work; nothing or an empty text: none. */
  readonly key: (payload: never) => string | null | undefined
  readonly order: KeyOrder
}

export type KeyOrder = (typeof KEY_ORDERS)[number]
export const KEY_ORDERS = ['fair', 'fifo'] as const

/** A limit that several jobs share. */
export interface SharedLimit {
  readonly name: string
  readonly global: number | null
  readonly rateLimit: RateLimit | null
}

/** How many runs of a job go on at once. */
export interface ConcurrencyOptions {
  /** In one worker, at most 10,000. Default: the worker's own limit. */
  perWorker?: number
  /** Over all workers, at most a million. It holds at every commit. Default: none. */
  global?: number
  /** Of one key, over all workers, at most a million. It needs a `partition`. Default: none. */
  perKey?: number
}

/** How the work of a job is divided, such as by customer, so that none keeps the others waiting. */
export interface PartitionOptions<Payload> {
  /**
   * The key of a piece of work, at most 200 bytes of UTF-8, such as `({ tenantId }) => tenantId`. The engine calls it
   * once, when the work is enqueued, with the payload as the schema returns it, and stores the key with the work: work
   * that waits keeps it when the function changes. Null, undefined or an empty text: no key; such work takes its turn
   * like one more key, without `perKey`. If it throws, or returns anything else, the enqueue fails as `payload_invalid`.
   */
  key: (payload: Payload) => string | null | undefined
  /**
   * `fair` (default): when a slot comes free, the waiting key that has had least gets it; among the work of a key the priority
   * counts, across keys never. `fifo`: the work of a key runs one at a time in the order in which it was enqueued, retries included; a
   * dead letter holds its key up until somebody retries or discards it, and work has no priority.
   */
  order?: KeyOrder
}

export interface SharedLimitOptions {
  /** A camelCase identifier of at most 100 characters. */
  name: string
  /** Runs at once over all workers, of all its jobs together; at most a million. Default: no such limit. */
  global?: number
  /** How often runs of its jobs may start, all together. Default: as often as there is work. */
  rateLimit?: Omit<RateLimit, 'by'>
}

const MAX_GLOBAL = 1_000_000
const MAX_PER_MS = 365 * 86_400_000
const MAX_SHARED = 2
const MAX_KEY_BYTES = 200

/**
 * Defines a limit that several jobs share, such as that of an account with a service. List it in their `limits`.
 * @throws TypeError naming the limit and what is wrong with it
 */
export function defineLimit(options: SharedLimitOptions): SharedLimit {
  const { name } = checkParts('options', options, { name: asItIs })
  if (typeof name !== 'string' || !/^[a-z][A-Za-z0-9]{0,99}$/.test(name)) {
    throw new TypeError(
      `Limit ${tell(name)}: a name is a camelCase identifier of at most 100 characters`,
    )
  }
  const { global, rateLimit } = options
  const whose = `Limit "${name}"`
  if (global === undefined && rateLimit === undefined)
    throw new TypeError(`${whose}: it limits nothing; set global, rateLimit, or both`)
  if (typeof rateLimit === 'object' && rateLimit !== null && 'by' in rateLimit)
    throw new TypeError(
      `${whose}: rateLimit.by is for jobs, which have keys; a shared limit counts all starts`,
    )
  return {
    name,
    global: global === undefined ? null : positive(whose, 'global', global, MAX_GLOBAL),
    rateLimit: rateLimit === undefined ? null : resolveRateLimit(whose, rateLimit),
  }
}

/** The rows of a job's limits: of one that has a rate alone, and of any other. */
export const ownLimitOf = (name: string) => `job:${name}`
export const rateLimitOf = (name: string) => `rate:${name}`

/** What the options of a job say of limits and keys. */
export function resolveLimits<Payload>(
  whose: string,
  options: {
    concurrency?: number | ConcurrencyOptions
    partition?: PartitionOptions<Payload>
    rateLimit?: RateLimit
    limits?: readonly SharedLimit[]
  },
): Pick<
  Job,
  'concurrency' | 'globalConcurrency' | 'concurrencyPerKey' | 'partition' | 'rateLimit' | 'limits'
> {
  const { perWorker, global, perKey } = resolveConcurrency(whose, options.concurrency)
  const partition = resolvePartition(whose, options.partition)
  if (partition === null && perKey !== null) throw needsPartition(whose, 'concurrency.perKey')
  if (partition?.order === 'fifo' && perKey !== null && perKey > 1) {
    throw new TypeError(
      `${whose}: concurrency.perKey is 1 with the order fifo, not ${perKey}; leave it out, or take the order fair`,
    )
  }
  const rateLimit =
    options.rateLimit === undefined ? null : resolveRateLimit(whose, options.rateLimit)
  if (partition === null && rateLimit?.by === 'key') throw needsPartition(whose, 'rateLimit.by')
  return {
    concurrency: perWorker,
    globalConcurrency: global,
    concurrencyPerKey: partition?.order === 'fifo' ? 1 : perKey,
    partition,
    rateLimit,
    limits: checkShared(whose, options.limits),
  }
}

function needsPartition(whose: string, option: string): TypeError {
  return new TypeError(
    `${whose}: ${option} needs to know the key of a piece of work; set partition: { key: (payload) => … }`,
  )
}

function resolveConcurrency(whose: string, given: number | ConcurrencyOptions | undefined) {
  if (given === undefined) return { perWorker: null, global: null, perKey: null }
  const isNumber = typeof given === 'number'
  const isSaid = typeof given === 'object' && given !== null && Object.keys(given).length > 0
  if (!isNumber && !isSaid) {
    throw new TypeError(
      `${whose}: concurrency must be a number, or { perWorker, global, perKey }, not ${tell(given)}`,
    )
  }
  const { perWorker, global, perKey, ...others } = isNumber ? { perWorker: given } : given
  refuseOthers(whose, 'concurrency', others, 'perWorker, global and perKey')
  const option = isNumber ? 'concurrency' : 'concurrency.perWorker'
  const of = (name: string, value: number | undefined, max: number) =>
    value === undefined ? null : positive(whose, name, value, max)
  return {
    perWorker: of(option, perWorker, MAX_CONCURRENCY),
    global: of('concurrency.global', global, MAX_GLOBAL),
    perKey: of('concurrency.perKey', perKey, MAX_GLOBAL),
  }
}

/** Whoever misspells a limit means one. */
function refuseOthers(whose: string, option: string, others: object, known: string): void {
  const [other] = Object.keys(others)
  if (other !== undefined)
    throw new TypeError(`${whose}: ${option} must have ${known}, and no ${tell(other)}`)
}

function resolvePartition<Payload>(
  whose: string,
  given: PartitionOptions<Payload> | undefined,
): Partition | null {
  if (given === undefined) return null
  if (typeof given !== 'object' || given === null || typeof given.key !== 'function') {
    throw new TypeError(
      `${whose}: partition.key must be a function of the payload that returns a text, such as ({ tenantId }) => tenantId`,
    )
  }
  const { key, order = 'fair', ...others } = given
  refuseOthers(whose, 'partition', others, 'key and order')
  if (!KEY_ORDERS.includes(order))
    throw new TypeError(`${whose}: partition.order must be one of ${KEY_ORDERS.join(', ')}`)
  return { key, order }
}

const RATE = { limit: asItIs, perMs: asItIs }

function resolveRateLimit(whose: string, given: RateLimit): RateLimit {
  checkParts(`${whose}: rateLimit`, given, RATE)
  const { limit, perMs, by } = given
  if (by !== undefined && by !== 'job' && by !== 'key')
    throw new TypeError(`${whose}: rateLimit.by must be one of job, key`)
  return {
    limit: positive(whose, 'rateLimit.limit', limit),
    perMs: positive(whose, 'rateLimit.perMs', perMs, MAX_PER_MS),
    ...(by !== undefined && { by }),
  }
}

function checkShared(whose: string, given: readonly SharedLimit[] = []): readonly SharedLimit[] {
  const isLimit = (one: unknown): one is SharedLimit =>
    typeof one === 'object' && one !== null && 'name' in one && 'global' in one
  if (!Array.isArray(given) || !given.every(isLimit)) {
    throw new TypeError(`${whose}: limits must be a list of what defineLimit returns`)
  }
  const names = new Set(given.map(({ name }) => name))
  if (given.length <= MAX_SHARED && names.size === given.length) return [...given]
  throw new TypeError(
    `${whose}: limits must be at most ${MAX_SHARED} limits, each once, not ${given.map(({ name }) => name).join(', ')}`,
  )
}

export function positive(whose: string, option: string, value: number, max = Infinity): number {
  if (!(Number.isSafeInteger(value) && value > 0)) {
    throw new TypeError(`${whose}: ${option} must be a positive whole number, not ${tell(value)}`)
  }
  if (value <= max) return value
  throw new TypeError(`${whose}: ${option} must be at most ${max}, not ${value}`)
}

/**
 * The key of work with a payload that the job's schema has accepted: an empty text where it has none, undefined where the job has no
 * keys. The key function is foreign code.
 * @throws JobError `payload_invalid`
 */
export function keyOfWork(
  job: Partial<Pick<Job, 'partition'>>,
  accepted: unknown,
): string | undefined {
  if ((job.partition ?? null) === null) return undefined
  let key: unknown
  try {
    key = (job.partition as Partition).key(accepted as never)
  } catch (cause) {
    throw refuseKey('the key function of its job has thrown', cause)
  }
  if (key === null || key === undefined) return ''
  if (typeof (key as { then?: unknown }).then === 'function')
    Promise.resolve(key).catch(() => undefined)
  if (typeof key !== 'string')
    throw refuseKey(`the key function of its job returned ${typeof key} instead of a text`)
  if (!key.isWellFormed() || key.includes('\0'))
    throw refuseKey('its key has characters that PostgreSQL cannot hold')
  const bytes = Buffer.byteLength(key)
  if (bytes <= MAX_KEY_BYTES) return key
  throw refuseKey(`its key ${storableText(key, 40)} has ${bytes} bytes, more than ${MAX_KEY_BYTES}`)
}

/** The same of a payload that no schema has checked. One that the schema refuses has no key. */
export function keyOfPayload(
  job: Partial<Pick<Job, 'partition' | 'payload'>>,
  payload: unknown,
): string | undefined {
  if ((job.partition ?? null) === null) return undefined
  const answer = job.payload && askSchema(job.payload, payload)
  return answer?.kind === 'accepted' ? keyOfWork(job, answer.value) : ''
}

/** Why a payload has no key that can be stored; null when it has one, or none by right. */
export function keyProblem(
  job: Pick<Job, 'partition' | 'payload'>,
  payload: unknown,
): string | null {
  try {
    keyOfPayload(job, payload)
    return null
  } catch (error) {
    return error instanceof JobError ? error.message.replace(/^payload: /, '') : SCHEMA_FAILED
  }
}

function refuseKey(problem: string, cause?: unknown): JobError {
  return new JobError('payload_invalid', `payload: ${problem}`, {
    retryable: false,
    cause,
    details: { issues: [{ path: [], code: 'custom', message: problem }] },
  })
}

/** How far apart starts are, and how many may come at once. */
export function pace({ limit, perMs }: RateLimit): { intervalMs: number; burst: number } {
  return { intervalMs: perMs / limit, burst: Math.max(1, Math.floor(limit / 10)) }
}
