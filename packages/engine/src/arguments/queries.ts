import type { AwaitResultOptions } from '../read/awaitResult.ts'
import type { DeadLetterQuery } from '../read/listDeadLetters.ts'
import type { ListJobRunsOptions } from '../read/jobRuns.ts'
import type { KeyedTickQuery, ScheduleQuery } from '../read/listKeyedSchedules.ts'
import type { KeyQuery } from '../read/listKeys.ts'
import type { WaitingWorkQuery } from '../read/listWaitingWork.ts'
import type { JobsReader, ReaderOptions } from '../read/reader.ts'
import type { PieceFilter, ShownValue } from '../queue/pieceFilter.ts'
import {
  checkBoolean,
  checkDate,
  checkDurationMs,
  checkFunction,
  checkId,
  checkInstant,
  checkJobName,
  checkLimit,
  checkOptions,
  checkParts,
  checkPosition,
  checkSignal,
  checkText,
  checkTexts,
  checkWaitMs,
  listOf,
  loggerOf,
  madeElsewhere,
  nullable,
  objectOf,
  oneOf,
  optional,
  wholeNumber,
  type Check,
} from '../values/argument.ts'
import { checkDatabaseUrl, checkSchema } from './connection.ts'
import { checkJobs } from './jobs.ts'

/*
 * Arguments of the functions that read: the reader, filters, and pages.
 */

export const JOB_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const

/**
 * Outcomes of runs. `failed` runs ended by their handler or its time-out. The following ended for other reasons: a person
 * cancelled them, their guard blocked them, their work expired, their worker was lost, or their worker gave the work back to
 * the queue. The work of `suspended` runs has not ended: it waits in a step.
 */
export const RUN_OUTCOMES = [
  'running',
  'success',
  'suspended',
  'failed',
  'cancelled',
  'blocked',
  'expired',
  'lost',
  'givenBack',
] as const

export const RUN_STATUSES = ['running', 'success', 'failed', 'suspended'] as const
/** There is no order by the time of enqueueing, for which no index exists: the oldest of a million would need a full scan. */
export const WORK_ORDERS = ['first', 'last'] as const
export const KEY_SORTS = ['waiting', 'running', 'oldest', 'started', 'key'] as const
export const SCHEDULE_STATES = ['paused', 'refused', 'late'] as const

const READER_OPTIONS = {
  databaseUrl: checkDatabaseUrl,
  schema: checkSchema,
  log: loggerOf<NonNullable<ReaderOptions['log']>>(),
  poolSize: optional(wholeNumber(1, 1_000)),
  statementTimeoutMs: optional(wholeNumber(1, 2 ** 31 - 10_000)),
} satisfies Record<keyof ReaderOptions, unknown>

export function checkReaderOptions(options: unknown) {
  return checkOptions('options', options, READER_OPTIONS)
}

const READER = { rows: checkFunction }

const checkReader = madeElsewhere<JobsReader>(
  READER,
  'a reader, such as client.reader or what openReader returns',
)

/** A program may pass the client, or its pool, by mistake for `client.reader`. */
export function expectReader(reader: unknown): asserts reader is JobsReader {
  checkReader('reader', reader)
}

/** Checks the arguments of getJobHealth and listProblems. */
export function checkHealthQuery(reader: unknown, jobs: unknown, now: unknown) {
  expectReader(reader)
  return { jobs: checkJobs('jobs', jobs), now: checkDate('now', now) }
}

/** Checks the arguments of functions that read some jobs by their names. */
export function checkNames(reader: unknown, names: unknown): string[] {
  expectReader(reader)
  return checkTexts('names', names)
}

/** Some of these values become part of a statement's text, so no others are accepted. */
export const RUN_FILTER = {
  name: optional(checkText),
  status: optional(oneOf(RUN_STATUSES)),
  outcome: optional(oneOf(RUN_OUTCOMES)),
  trigger: optional(oneOf(JOB_TRIGGERS)),
  errorCode: optional(checkText),
  workId: optional(checkId),
  from: optional(checkDate),
  to: optional(checkDate),
  label: optional(checkText),
  worker: optional(checkText),
  minDurationMs: optional(checkDurationMs),
  maxDurationMs: optional(checkDurationMs),
  key: optional(checkText),
}
const RUNS = {
  ...RUN_FILTER,
  limit: checkLimit,
  after: optional(checkPosition),
} satisfies Record<keyof ListJobRunsOptions, unknown>
const RUN_HINTS = { job: 'did you mean name?', state: 'did you mean status?' }

export function checkRunQuery(reader: unknown, query: unknown) {
  expectReader(reader)
  return checkOptions('options', query, RUNS, { hints: RUN_HINTS })
}

export function checkRunFilter(filter: unknown) {
  return checkOptions('filter', filter, RUN_FILTER, { hints: RUN_HINTS })
}

/** Checks the arguments of functions that read one row by its id. */
export function checkIdOf(reader: unknown, argument: string, id: unknown): string {
  expectReader(reader)
  return checkId(argument, id)
}

const SHOWN = { field: checkText, value: nullable(checkText) } satisfies Record<
  keyof ShownValue,
  unknown
>
/** Accepts a group of pieces as well, which has these two properties and others. */
const checkShown: Check<ShownValue> = (argument, value) =>
  checkParts(argument, value, SHOWN, `${argument}.`)
export const PIECE_FILTER = {
  name: optional(checkText),
  label: optional(checkText),
  labelPart: optional(checkText),
  key: optional(checkText),
  shown: optional(checkShown),
} satisfies Record<keyof PieceFilter, unknown>
const PIECE_HINTS = { job: 'did you mean name?' }

const WORK = {
  ...PIECE_FILTER,
  limit: checkLimit,
  after: optional(checkPosition),
  order: optional(oneOf(WORK_ORDERS)),
} satisfies Record<keyof WaitingWorkQuery, unknown>

export function checkWorkQuery(reader: unknown, query: unknown) {
  expectReader(reader)
  return checkOptions('query', query, WORK, { hints: PIECE_HINTS })
}

export function checkWorkFilter(filter: unknown) {
  return checkOptions('filter', filter, PIECE_FILTER, { hints: PIECE_HINTS })
}

const WORK_TO_GROUP = { ...PIECE_FILTER, isDue: optional(checkBoolean) }

export function checkWorkToGroup(filter: unknown) {
  return checkOptions('filter', filter, WORK_TO_GROUP, { hints: PIECE_HINTS })
}

/** Counting stops here: no user reads more of them one by one. */
export const MAX_COUNTED_LETTERS = 100_000
export const LETTER_FILTER = { ...PIECE_FILTER, errorCode: optional(checkText) }
const LETTERS_TO_COUNT = { ...LETTER_FILTER, after: optional(checkPosition) }
const LETTERS = { ...LETTERS_TO_COUNT, limit: checkLimit } satisfies Record<
  keyof DeadLetterQuery,
  unknown
>
/** The maximum of ids in one call. */
const LETTERS_TO_CHOOSE = { ...LETTERS_TO_COUNT, limit: wholeNumber(0, MAX_COUNTED_LETTERS) }
const checkIds = listOf(checkId)

export function checkLetterQuery(reader: unknown, query: unknown) {
  expectReader(reader)
  return checkOptions('query', query, LETTERS, { hints: PIECE_HINTS })
}

export function checkLetterFilter(filter: unknown) {
  return checkOptions('filter', filter, LETTER_FILTER, { hints: PIECE_HINTS })
}

export function checkLettersToCount(query: unknown) {
  return checkOptions('query', query, LETTERS_TO_COUNT, { hints: PIECE_HINTS })
}

export function checkLettersToChoose(query: unknown, ids: unknown) {
  const asked = checkOptions('query', query, LETTERS_TO_CHOOSE, { hints: PIECE_HINTS })
  return { ...asked, ids: nullable(checkIds)('ids', ids) }
}

/** Checks the name of the job, and the ids of its work. */
export function checkWorkIds(reader: unknown, job: unknown, workIds: unknown) {
  expectReader(reader)
  return { name: checkJobName('job', job), ids: checkIds('workIds', workIds) }
}

export function checkUniqueKey(reader: unknown, job: unknown, key: unknown, since: unknown) {
  expectReader(reader)
  return {
    name: checkJobName('job', job),
    uniqueKey: checkText('uniqueKey', key),
    failedSince: checkDate('failedSince', since),
  }
}

const AWAITED = {
  timeoutMs: optional(checkWaitMs),
  signal: optional(checkSignal),
} satisfies Record<keyof AwaitResultOptions, unknown>

export function checkAwaited(job: unknown, workId: unknown, options: unknown) {
  const { timeoutMs = 30_000, signal } = checkOptions('options', options, AWAITED)
  checkJobName('job', job)
  return { id: checkId('workId', workId), timeoutMs, signal }
}

const PLACE = { name: checkText, key: checkText }
const SCHEDULES = {
  name: optional(checkText),
  search: optional(checkText),
  state: optional(oneOf(SCHEDULE_STATES)),
  limit: checkLimit,
  after: optional(objectOf(PLACE)),
} satisfies Record<keyof ScheduleQuery, unknown>

export function checkScheduleQuery(query: unknown) {
  return checkOptions('query', query, SCHEDULES, {
    hints: { job: 'did you mean name?', key: 'did you mean search?' },
  })
}

export const checkPlaceOfSchedule = objectOf(PLACE)

const TICKS = {
  ...PLACE,
  limit: checkLimit,
  before: optional(checkInstant),
} satisfies Record<keyof KeyedTickQuery, unknown>

export function checkTickQuery(query: unknown) {
  return checkOptions('query', query, TICKS)
}

const KEYS = {
  key: optional(checkText),
  limit: optional(wholeNumber(1, 200)),
  order: optional(oneOf(KEY_SORTS)),
} satisfies Record<keyof KeyQuery, unknown>

export function checkKeyQuery(job: unknown, query: unknown) {
  return { name: checkJobName('job', job), ...checkOptions('query', query, KEYS) }
}

export function checkKeyOf(job: unknown, key: unknown) {
  return { name: checkJobName('job', job), key: checkText('key', key) }
}
