import type { JobsClientOptions } from '../client/createJobsClient.ts'
import type { Actor } from '../queue/recordActions.ts'
import type { KeySettings, LimitSettings } from '../control/controlLimits.ts'
import type { TraceEnqueue } from '../job/enqueue.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import { storableUnchanged } from '../values/storable.ts'
import { storableText } from '../values/storableText.ts'
import type { ChangesWatchOptions } from '../read/watchChanges.ts'
import {
  ArgumentError,
  asItIs,
  checkActor,
  checkBoolean,
  checkDate,
  checkFunction,
  checkId,
  checkJobName,
  checkOptions,
  checkParts,
  checkString,
  checkText,
  checkTexts,
  checkTimerMs,
  copyList,
  copyParts,
  isPlainObject,
  listOf,
  loggerOf,
  nullable,
  objectOf,
  optional,
  wholeNumber,
  type Check,
  type Checked,
} from '../values/argument.ts'
import { checkSchema, checkUrlForLater, CONNECTION_HINTS } from './connection.ts'
import { checkSignal } from './jobs.ts'
import { checkSignalText } from './signals.ts'
import { checkPriority } from './enqueueOptions.ts'

/*
 * Options of a client, and arguments of its acts.
 */

const CLIENT = {
  databaseUrl: checkUrlForLater,
  schema: checkSchema,
  log: loggerOf<JobsClientOptions['log']>(),
  traceEnqueue: optional(checkFunction<TraceEnqueue>),
} satisfies Record<keyof JobsClientOptions, unknown>
const CLIENT_HINTS = {
  ...CONNECTION_HINTS,
  client: 'each call takes the transaction: enqueue(tx, job, payload)',
  pool: 'each call takes the transaction: enqueue(tx, job, payload)',
  jobs: 'each call names its job: enqueue(tx, job, payload)',
}

export function checkClientOptions(options: unknown) {
  return checkOptions('options', options, CLIENT, { hints: CLIENT_HINTS })
}

const WATCH = {
  onChange: checkFunction<ChangesWatchOptions['onChange']>,
  onGap: checkFunction<ChangesWatchOptions['onGap']>,
  probeMs: optional(checkTimerMs),
}

export function checkWatchOptions(options: unknown) {
  return checkOptions('options', options, WATCH)
}

/** Maximum items for one call of enqueueMany. */
const MAX_ITEMS = 1_000_000
const ITEM = { payload: asItIs, options: asItIs }
const ITEM_HINTS = Object.fromEntries(
  ['startAfter', 'priority', 'uniqueKey', 'onConflict', 'expiresAt', 'delay'].map((name) => [
    name,
    'set it in options: { payload, options }',
  ]),
)

export const copyItems = (items: unknown): unknown[] => copyList('items', items, MAX_ITEMS)

export function checkItem(item: unknown, at: number): Checked<typeof ITEM> {
  return checkOptions(`items[${at}]`, item, ITEM, { prefix: `items[${at}].`, hints: ITEM_HINTS })
}

const TX = { tx: asItIs as Check<HostTransaction | null | undefined> }

/**
 * Accepts a plain object. If a transaction were accepted instead, it would be ignored, and the act would commit by itself.
 * Kysely's transaction has no own properties, so its class distinguishes it from an empty object.
 */
export function checkActionOptions(options: unknown): HostTransaction | null {
  if (options === undefined) return null
  if (isPlainObject(options) && ('tx' in options || Object.keys(options).length === 0))
    return checkOptions('options', options, TX).tx ?? null
  throw new ArgumentError('options', 'has no tx of its own; pass the transaction as { tx }')
}

const MAX_ANSWER_BYTES = 2 ** 20
const MAX_ACTOR_LENGTH = 500
export const MAX_REASON_LENGTH = 2_000

const ACTOR = { actor: checkActor, reason: optional(nullable(checkString)) }
const ACTOR_HINTS = {
  tx: 'the act would commit by itself; pass the transaction in an argument of its own, as { tx }',
  by: 'did you mean actor?',
  user: 'did you mean actor?',
}

/** Makes both texts storable: an API may receive characters that PostgreSQL cannot store. */
export function storableActor({
  actor,
  reason,
}: {
  actor: string
  reason?: string | null | undefined
}): Actor {
  return {
    actor: storableText(actor, MAX_ACTOR_LENGTH),
    ...(typeof reason === 'string' && { reason: storableText(reason, MAX_REASON_LENGTH) }),
  }
}

/** Checks the actor and the reason of an act, and the other parts of its request. */
export function checkRequest<Table extends { readonly [name: string]: Check<unknown> }>(
  request: unknown,
  more: Table,
): Checked<Table> & { by: Actor }
export function checkRequest(request: unknown): { by: Actor }
export function checkRequest(request: unknown, more = {}): { by: Actor } {
  const checked = checkOptions('request', request, { ...ACTOR, ...more }, { hints: ACTOR_HINTS })
  return { ...checked, by: storableActor(checked) }
}

const SENT = {
  ...{ key: checkSignalText, id: checkSignalText, payload: asItIs },
  ...{ actor: optional(checkActor), reason: optional(checkString) },
}

export function checkSentSignal(signal: unknown, sent: unknown) {
  const { actor, reason, ...given } = checkOptions('sent', sent, SENT)
  const by: Partial<Actor> = actor === undefined ? {} : storableActor({ actor, reason })
  return { signal: checkSignal('signal', signal), ...given, by }
}

export const RUN_REQUEST = { dryRun: optional(checkBoolean), payload: asItIs }
export const POSTPONE_REQUEST = { startAfter: checkDate }
export const PRIORITISE_REQUEST = { priority: checkPriority }
const FROM_STEP = { step: checkText, item: optional(checkText) }
const checkFrom: Check<'failure' | 'beginning' | { step: string; item?: string }> = (
  argument,
  value,
) => {
  if (value === 'failure' || value === 'beginning') return value
  const { step, item = '' } = objectOf(FROM_STEP)(argument, value)
  return { step, item }
}
const STEP_NAMES = { was: checkTexts }
const checkSteps: Check<{ [name: string]: { was: string[] } }> = (argument, steps) =>
  Object.fromEntries(
    Object.entries(copyParts(argument, steps)).map(([name, step]) => {
      const which = `${argument}.${name}`
      return [name, checkParts(which, step, STEP_NAMES, `${which}.`)]
    }),
  )
const OF_STEPS = { steps: optional(nullable(checkSteps)) }
const OF_JOB = { name: checkText, ...OF_STEPS }

export const REDRIVE_REQUEST = {
  jobs: optional(listOf((argument, job) => checkParts(argument, job, OF_JOB, `${argument}.`))),
  evenIfWorkersDied: optional(checkBoolean),
  from: optional(checkFrom),
}
const DOUBTFUL = {
  ...{ workId: checkId, step: checkText, item: optional(checkText) },
  job: optional((argument, job) => checkParts(argument, job, OF_STEPS, `${argument}.`)),
}

export function checkAnswerRequest(which: unknown, request: unknown) {
  const { item = '', ...of } = checkOptions('which', which, DOUBTFUL)
  const checked = checkRequest(request, { happened: checkBoolean, result: asItIs })
  const made = storableUnchanged(checked.result, MAX_ANSWER_BYTES)
  if (made.kind === 'stored')
    return { ...of, item, ...checked, result: JSON.stringify(made.value ?? null) }
  throw new ArgumentError('result', 'must be JSON of at most 1 MB')
}

export const checkVersion = optional(wholeNumber(0, 2 ** 31 - 1))
export const DELETE_REQUEST = { ifVersion: checkVersion }
export const BACKFILL_REQUEST = { from: checkDate, to: checkDate }

export function expectSpan(from: Date, to: Date): void {
  if (from > to) throw new ArgumentError('from', 'must not be later than to')
}

export function refuseFarBackfill(most: number): ArgumentError {
  return new ArgumentError(
    'to',
    `is too far from from: there are over ${most.toLocaleString('en')} ticks in between; do it in parts`,
  )
}

const SHOWING = { name: checkText, show: optional(listOf(checkText)) }
export const SHOW_REQUEST = {
  jobs: listOf((argument, job) => checkParts(argument, job, SHOWING, `${argument}.`)),
}

const WHOSE = { runId: optional(checkId), workId: optional(checkId) }

export function checkWhose(whose: unknown): { runId: string | undefined; id: string } {
  const { runId, workId } = checkOptions('whose', whose, WHOSE)
  const id = runId ?? workId
  if (id === undefined) throw new ArgumentError('whose', 'has to have a runId or a workId')
  return { runId, id }
}

const SHOWN = { ...WHOSE, step: optional(checkText), item: optional(checkText) }

export function checkShown(whose: unknown) {
  const { step, item = '', ...of } = checkOptions('whose', whose, SHOWN)
  return { ...checkWhose(of), step, item }
}

const WHICH_WORK = {
  job: checkJobName,
  ids: optional(listOf(checkId)),
  label: optional(checkText),
  key: optional(checkText),
  all: optional(checkBoolean),
}

/** Requires an explicit selection: otherwise a misspelled filter would select all work. */
export function checkWhichWork(which: unknown) {
  const {
    job,
    ids = null,
    label = null,
    key = null,
    all,
  } = checkOptions('which', which, WHICH_WORK)
  if (ids === null && label === null && key === null && all !== true)
    throw new ArgumentError(
      'which',
      'has to say which work is meant: ids, label, key, or all: true',
    )
  return { name: job, ids, label, key }
}

/** Limits a call to a second or two. */
export const MAX_LETTERS = 10_000
const WHICH_LETTERS = { ids: optional(listOf(checkId, MAX_LETTERS)), filter: asItIs }

/** Checks a selection of dead letters by ids or by a filter. */
export function checkWhichLetters(which: unknown): { ids: string[] } | { filter: object } {
  if (which === 'all') return { filter: {} }
  const { ids, filter } = checkOptions('which', which, WHICH_LETTERS)
  if (ids !== undefined) return { ids }
  return { filter: copyParts('which.filter', filter) }
}

const checkMost = optional(nullable(wholeNumber(1, 1_000_000)))

/** Accepts only `false`, which ends a wait. */
const checkParked: Check<boolean> = (argument, value) => {
  if (value === undefined || value === false) return value === false
  throw new ArgumentError(argument, 'can be set to false alone: paused is what keeps work waiting')
}

const WHICH_LIMIT = { job: optional(checkJobName), limit: optional(checkJobName) }
const LIMIT_SETTINGS = { global: checkMost, parked: checkParked } satisfies Record<
  keyof LimitSettings,
  unknown
>

export function checkLimitSettings(which: unknown, settings: unknown) {
  const { job, limit } = checkOptions('which', which, WHICH_LIMIT)
  if ((job === undefined) === (limit === undefined))
    throw new ArgumentError('which', 'has to be { job } or { limit }')
  return { job, limit, ...checkOptions('settings', settings, LIMIT_SETTINGS) }
}

/** Returns the pause as a text for PostgreSQL. */
const checkPause: Check<string | null | undefined> = (argument, value) => {
  if (value === undefined) return undefined
  if (typeof value === 'boolean') return value ? 'infinity' : null
  if (value instanceof Date) return checkDate(argument, value).toISOString()
  throw new ArgumentError(argument, 'has to be true, false or a Date')
}

const KEY_SETTINGS = {
  perKey: checkMost,
  paused: checkPause,
  parked: checkParked,
} satisfies Record<keyof KeySettings, unknown>

export function checkKeySettings(job: unknown, key: unknown, settings: unknown) {
  const name = checkJobName('job', job)
  checkText('key', key)
  return { name, ...checkOptions('settings', settings, KEY_SETTINGS) }
}

export function refusePerKey(): ArgumentError {
  return new ArgumentError('perKey', 'is for jobs whose keys are fair: with fifo it is 1')
}
