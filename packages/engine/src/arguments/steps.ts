import type { Duration, VerifiedStep } from '../job/step.ts'
import {
  ArgumentError,
  asItIs,
  checkDate,
  checkFunction,
  checkOptions,
  numberWithin,
  objectOf,
  optional,
  type Check,
} from '../values/argument.ts'

/*
 * Arguments of steps.
 */

type Verify = NonNullable<VerifiedStep<unknown>['verify']>
const CALL = {
  item: asItIs as Check<string | undefined>,
  verify: optional(checkFunction<Verify>),
}

/** The function of a step, and its options. The pass checks the item. */
export function checkCall<Work>(given: Work, options: unknown = {}) {
  const work = checkFunction<Work>('work', given)
  const { item = '', verify } = checkOptions('options', options, CALL)
  return { work, item, verify }
}

/** A million years, with a sign. */
const checkPart = optional(numberWithin(-1e15, 1e15))
const DURATION = {
  weeks: checkPart,
  days: checkPart,
  hours: checkPart,
  minutes: checkPart,
  seconds: checkPart,
  milliseconds: checkPart,
} satisfies Record<keyof Duration, unknown>

export const checkDuration: Check<Duration> = (argument, value) => {
  const given = objectOf(DURATION, {
    months: 'pass the instant instead, as a Date',
    years: 'pass the instant instead, as a Date',
    ms: 'did you mean milliseconds?',
  })(argument, value)
  return Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined))
}

export function toMs(by: number | Duration): number {
  if (typeof by === 'number') return by
  const { weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0 } = by
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
}

/** A thousand years, so that the instant is in the range of PostgreSQL and JavaScript. */
const MAX_SLEEP_MS = 1_000 * 365 * 86_400_000

export function checkSleep(duration: unknown, argument = 'duration'): number {
  const given = typeof duration === 'number' ? duration : checkDuration(argument, duration)
  return numberWithin(0, MAX_SLEEP_MS)(argument, toMs(given))
}

export function checkSleepUntil(at: unknown): Date {
  const until = checkDate('at', at)
  if (until.getUTCFullYear() > 3_000)
    throw new ArgumentError('at', `is later than the year 3000: ${until.toISOString()}`)
  return until
}
