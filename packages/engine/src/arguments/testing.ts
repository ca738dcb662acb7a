import { types } from 'node:util'
import type { HostLogger } from '../job/logger.ts'
import type { TestJobsOptions } from '../testing/openTestJobs.ts'
import type { Advance, DrainOptions, ExpectedWork, TestRunOptions } from '../testing/testJobs.ts'
import {
  ArgumentError,
  asItIs,
  checkActorText,
  checkBoolean,
  checkDate,
  checkOptions,
  checkText,
  copyParts,
  loggerOf,
  numberWithin,
  oneOf,
  optional,
  tell,
  wholeNumber,
  type Check,
} from '../values/argument.ts'
import { checkDuration } from './steps.ts'
import { checkDatabaseUrl } from './connection.ts'
import { checkPriority } from './enqueueOptions.ts'
import { checkJob, checkJobs, expectDryRun } from './jobs.ts'
import { checkHandlers, WORKER_HINTS } from './worker.ts'

/*
 * Arguments of openTestJobs, and of its calls.
 */

const TEST = {
  databaseUrl: checkDatabaseUrl,
  client: asItIs,
  jobs: checkJobs,
  handlers: checkHandlers,
  now: optional(checkDate),
  crash: optional(oneOf(['everyStep', 'never'] as const)),
  log: loggerOf<Partial<HostLogger>>(),
} satisfies Record<keyof TestJobsOptions<[], never>, unknown>
const TEST_HINTS = { ...WORKER_HINTS, schema: 'each call makes a schema of its own; leave it out' }

export function checkTestOptions(options: unknown) {
  return checkOptions('options', options, TEST, { hints: TEST_HINTS })
}

const RUN = {
  dryRun: optional(checkBoolean),
  actor: optional(checkActorText),
} satisfies Record<keyof TestRunOptions, unknown>

export function checkTestRun(job: unknown, options: unknown) {
  const given = { job: checkJob('job', job), ...checkOptions('options', options, RUN) }
  expectDryRun(given.job, given.dryRun)
  return given
}

export function missingHandler(name: string): ArgumentError {
  return new ArgumentError(`handlers.${name}`, 'is missing: pass it to openTestJobs')
}

const DRAIN = { maxRuns: optional(numberWithin(1, Infinity)) } satisfies Record<
  keyof DrainOptions,
  unknown
>

export function checkDrain(options: unknown) {
  return checkOptions('options', options, DRAIN)
}

export function checkAdvance(by: unknown): Advance {
  if (typeof by === 'number') return by
  if (types.isDate(by)) return checkDate('by', by)
  if (typeof by === 'object' && by !== null) {
    return checkDuration('by', by)
  }
  throw new ArgumentError(
    'by',
    `must be milliseconds, a duration such as { hours: 1 }, or a Date, not ${tell(by)}`,
  )
}

const EXPECTED = {
  count: optional(wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  startAfter: optional(checkDate),
  priority: optional(checkPriority),
  uniqueKey: optional(checkText),
} satisfies Record<keyof ExpectedWork, unknown>

/** Accepts a text as well: a payload may be one, and is then compared as a whole. */
const checkPartly: Check<object | string> = (argument, value) =>
  typeof value === 'string' ? value : copyParts(argument, value)

export function checkExpected(job: unknown, payload: unknown, expected: unknown) {
  const given = checkOptions('expected', expected, EXPECTED, { prefix: 'expected.' })
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  return {
    job: checkJob('job', job),
    payload: checkPartly('payload', payload),
    expected: Object.fromEntries(said) as ExpectedWork,
  }
}
