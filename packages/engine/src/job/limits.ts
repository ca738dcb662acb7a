import { checkLimitOptions, type KEY_ORDERS } from '../arguments/jobs.ts'
import { askSchema, SCHEMA_FAILED } from '../values/askSchema.ts'
import type { Job, RateLimit } from './defineJob.ts'
import { JobError } from './jobError.ts'
import { storableText } from '../values/storableText.ts'

/*
 * Limits and keys in the definition of a job. They hold over all processes.
 */

/** Divides the work of a job into keys, each with its share. */
export interface Partition {
  /** Returns the key of a piece of work; nothing or an empty text if it has none. */
  readonly key: (payload: never) => string | null | undefined
  readonly order: KeyOrder
}

export type KeyOrder = (typeof KEY_ORDERS)[number]

/** A limit that several jobs share. */
export interface SharedLimit {
  readonly name: string
  readonly global: number | null
  readonly rateLimit: RateLimit | null
}

/** The maximum of runs of a job at once. */
export interface ConcurrencyOptions {
  /** In one worker, at most 10,000. Default: the worker's own limit. */
  perWorker?: number
  /** Over all workers, at most a million. It holds at every commit. Default: none. */
  global?: number
  /** Of one key, over all workers, at most a million. It needs a `partition`. Default: none. */
  perKey?: number
}

/** Divides the work of a job into keys, such as customers, so that none delays the others. */
export interface PartitionOptions<Payload> {
  /**
   * Returns the key of a piece of work, at most 200 bytes of UTF-8, such as `({ tenantId }) => tenantId`. The engine calls it
   * once, when the work is enqueued, with the schema's output, and stores the key with the work. Waiting work keeps its key if
   * the function changes. Null, undefined or an empty text means no key. All work without a key is like one more key, with its
   * own turn, `perKey` and rate, but without `fifo`. If it throws, or returns anything else, enqueueing fails with
   * `payload_invalid`.
   */
  key: (payload: Payload) => string | null | undefined
  /**
   * `fair` (default): a free slot goes to the waiting key with the fewest starts. Priority counts only among the work of one
   * key. `fifo`: the work of a key runs one at a time, in the order of enqueueing, retries included. A dead letter blocks its
   * key until a person retries or discards it, and work has no priority.
   */
  order?: KeyOrder
}

export interface SharedLimitOptions {
  /** A camelCase identifier of at most 100 characters. */
  name: string
  /** Maximum of runs at once over all workers, of all its jobs together; at most a million. Default: no such limit. */
  global?: number
  /** Maximum rate at which runs of its jobs start, all together. Default: no such limit. */
  rateLimit?: Omit<RateLimit, 'by'>
}

const MAX_KEY_BYTES = 200

/**
 * Defines a limit that several jobs share, such as that of an account with a service. List it in their `limits`.
 * @throws ArgumentError naming the limit, the option, and what to set instead
 */
export function defineLimit(options: SharedLimitOptions): SharedLimit {
  return checkLimitOptions(options)
}

/** The row of a job's own limits. */
export const ownLimitOf = (name: string) => `job:${name}`

/**
 * Returns the key of work whose payload the job's schema has accepted: an empty text if the work has none, undefined if the job
 * has no keys. The key function is foreign code.
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

/** The same for a payload that no schema has checked. A payload that the schema refuses has no key. */
export function keyOfPayload(
  job: Partial<Pick<Job, 'partition' | 'payload'>>,
  payload: unknown,
): string | undefined {
  if ((job.partition ?? null) === null) return undefined
  const answer = job.payload && askSchema(job.payload, payload)
  return answer?.kind === 'accepted' ? keyOfWork(job, answer.value) : ''
}

/** The reason why a payload's key cannot be stored. Null if it can, or if the payload needs no key. */
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

/** The interval between starts, and how many may start at once. */
export function pace({ limit, perMs }: RateLimit): { intervalMs: number; burst: number } {
  return { intervalMs: perMs / limit, burst: Math.max(1, Math.floor(limit / 10)) }
}
