import type { Signal } from '../job/signal.ts'
import {
  ArgumentError,
  asItIs,
  checkOptions,
  checkParts,
  checkString,
  copyList,
  namedAfter,
  oneOf,
  optional,
  tell,
  type Check,
} from '../values/argument.ts'
import { anyPayload } from '../values/standardSchema.ts'
import { checkJob, checkName, checkSchema, checkSignal } from './jobs.ts'
import { checkSleep } from './steps.ts'

/*
 * Arguments of signals, and of the steps that wait for them and for children.
 */

const MAX_TEXT_BYTES = 200

/** A key or id of a signal. */
export const checkSignalText: Check<string> = (argument, value) => {
  if (
    typeof value === 'string' &&
    /^[^\0\p{Surrogate}]+$/su.test(value) &&
    Buffer.byteLength(value) <= MAX_TEXT_BYTES
  )
    return value
  throw new ArgumentError(
    argument,
    `must be a text of 1 to ${MAX_TEXT_BYTES} bytes that PostgreSQL can store, not ${tell(value)}`,
  )
}

const SIGNAL = { name: checkName, payload: optional(checkSchema) }

export function checkSignalOptions(options: unknown): Signal {
  const { name: given } = checkParts('options', options, { name: asItIs })
  return namedAfter(`Signal ${tell(given)}`, () => {
    const { name, payload = anyPayload } = checkOptions('options', options, SIGNAL)
    return { name, payload }
  })
}

/** Each run loads a payload as a result of a step. */
const MAX_PAYLOAD_BYTES = 2 ** 20

export function expectShort(bytes: number): void {
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new ArgumentError('payload', 'is larger than 1 MB as JSON; store it, and send its id')
}

const WAIT = {
  key: checkSignalText,
  timeout: optional((argument, value) => checkSleep(value, argument)),
  item: optional(checkString),
}

const MAX_CHILDREN = 10_000
const MAP = {
  onFailure: optional(oneOf(['fail', 'collect'] as const)),
  item: optional(checkString),
}

export function checkMap(job: unknown, payloads: unknown, options: unknown) {
  checkJob('job', job)
  const { onFailure = 'fail', item = '' } = checkOptions('options', options, MAP)
  return { onFailure, item, list: copyList('payloads', payloads, MAX_CHILDREN) }
}

/** `declared` is the signal that the job names for the step. */
export function checkWait(
  step: string,
  signal: Signal,
  declared: Signal | undefined,
  options: unknown,
) {
  const { timeout, key, item } = checkOptions('options', options, WAIT)
  const { name } = checkSignal('signal', signal)
  if (declared !== undefined && declared.name !== name)
    throw new ArgumentError('signal', `is ${name}; step ${step} declares ${declared.name}`)
  return { key, ms: timeout, item }
}
