import type { Details } from '../job/handler.ts'
import type { JobErrorOptions } from '../job/jobError.ts'
import type { RateLimitedOptions } from '../job/rateLimited.ts'
import { storableText } from '../values/storableText.ts'
import {
  ArgumentError,
  asItIs,
  checkBoolean,
  checkOptions,
  checkParts,
  checkString,
  checkText,
  nullable,
  optional,
  tell,
  type Check,
} from '../values/argument.ts'

/*
 * Arguments of the errors that handlers throw.
 */

const checkDetails: Check<Details> = (argument, value) => {
  if (typeof value === 'object' && value !== null) return value as Details
  throw new ArgumentError(argument, `must be an object, not ${tell(value)}`)
}

const JOB_ERROR = {
  cause: asItIs,
  retryable: optional(checkBoolean),
  details: optional(checkDetails),
} satisfies Record<keyof JobErrorOptions, unknown>
const JOB_ERROR_HINTS = { retry: 'did you mean retryable?', retriable: 'did you mean retryable?' }

export function checkJobError(code: unknown, message: unknown, options: unknown) {
  return {
    // Not checked: an error about the handler's code or message would hide the handler's own error.
    code: code as string,
    message: typeof message === 'string' ? message : storableText(message),
    ...checkOptions('options', options, JOB_ERROR, { hints: JOB_ERROR_HINTS }),
  }
}

const NAMED = { name: checkText }
const checkScope: Check<'key' | 'job' | { name: string }> = (argument, value) => {
  if (value === 'key' || value === 'job') return value
  if (typeof value === 'object') return checkParts(argument, value, NAMED, `${argument}.`)
  throw new ArgumentError(
    argument,
    `must be 'key', 'job' or what defineLimit returns, not ${tell(value)}`,
  )
}

/** RateLimited reads retryAfter itself: it may be a header of any service. */
const RATE_LIMITED = {
  retryAfter: asItIs as Check<RateLimitedOptions['retryAfter']>,
  scope: optional(checkScope),
  message: optional(nullable(checkString)),
  cause: asItIs,
} satisfies Record<keyof RateLimitedOptions, unknown>
const RATE_LIMITED_HINTS = { retryAfterMs: 'set retryAfter, which takes milliseconds' }

export function checkRateLimited(options: unknown) {
  return checkOptions('options', options, RATE_LIMITED, { hints: RATE_LIMITED_HINTS })
}
