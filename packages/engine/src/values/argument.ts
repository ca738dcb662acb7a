import { types } from 'node:util'
import { storableText } from './storableText.ts'
import { findNearest } from './nearest.ts'

/*
 * This folder checks the arguments of programs before the engine sends anything to the database: a refusal by PostgreSQL would
 * abort the caller's transaction. Each check returns a copy without foreign values.
 */

/** An invalid argument. The message names it, and the value to pass instead. */
export class ArgumentError extends TypeError {
  override readonly name = 'ArgumentError'
  readonly code = 'argument_invalid'
  /** The argument, or a part of it: `limit`, `ids[3]`. */
  readonly argument: string

  /** `of`: the owner of the argument, such as a job, for the message. */
  constructor(argument: string, problem: string, options: { cause?: unknown; of?: string } = {}) {
    const { cause, of } = options
    super(`${of === undefined ? '' : `${of}: `}${argument} ${problem}`, { cause })
    this.argument = argument
  }
}

/** The same error with a longer name of the argument, or with its owner. */
export function renamed(
  { argument, message, cause }: ArgumentError,
  { as = argument, of }: { as?: string; of?: string },
): ArgumentError {
  const problem = message.slice(argument.length + 1)
  return new ArgumentError(as, problem, { cause, ...(of !== undefined && { of }) })
}

export type Check<Value> = (argument: string, value: unknown) => Value

const MAX_SHOWN = 100

/** Removes the credentials of a URL, which may have been passed by mistake. */
function withoutCredentials(text: string): string {
  return text.replace(/:\/\/\S*@/, '://…@').replace(/\b(password=)[^&\s]*/i, '$1…')
}

/** Describes a value for an error message. */
export function tell(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(storableText(withoutCredentials(value), MAX_SHOWN))
  if (value === null || typeof value !== 'object') return storableText(value, MAX_SHOWN)
  return types.isDate(value) ? storableText(value, MAX_SHOWN) : 'an object'
}

const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i

/** Returns it in lower case, like the database. */
export function checkId(argument: string, value: unknown): string {
  if (typeof value === 'string' && UUID.test(value)) return value.toLowerCase()
  throw new ArgumentError(argument, `must be a UUID, as the engine returns it, not ${tell(value)}`)
}

/** Longer than any name, label or code. */
const MAX_TEXT_LENGTH = 10_000

export function checkText(argument: string, value: unknown): string {
  const text = checkString(argument, value)
  if (text.length > MAX_TEXT_LENGTH)
    throw new ArgumentError(argument, `must have at most ${MAX_TEXT_LENGTH} characters`)
  if (text.includes('\0') || !text.isWellFormed())
    throw new ArgumentError(
      argument,
      'holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store; take it out',
    )
  return text
}

/** A text of any length and characters. The caller truncates it and makes it storable. */
export function checkString(argument: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new ArgumentError(argument, `must be a text, not ${tell(value)}`)
}

/** A check for a name: a text that passes `check` and is not blank. */
const naming =
  (check: Check<string>): Check<string> =>
  (argument, value) => {
    const text = check(argument, value)
    if (text.trim() !== '') return text
    throw new ArgumentError(argument, 'is empty; name the person or the program that acts')
  }
/** The caller truncates the name and makes it storable. */
export const checkActor = naming(checkString)
export const checkActorText = naming(checkText)

export function checkDate(argument: string, value: unknown): Date {
  // A plain copy, without properties that foreign code may have set on the date.
  const date = types.isDate(value) ? new Date(Date.prototype.getTime.call(value)) : null
  const year = date?.getUTCFullYear() ?? Number.NaN
  // JSON writes other years with a sign, which PostgreSQL cannot read.
  if (date !== null && year >= 1 && year <= 9_999) return date
  throw new ArgumentError(
    argument,
    `must be a valid date of the years 1 to 9999, not ${tell(value)}`,
  )
}

const INSTANT =
  /^((?!0000)\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d{1,6})?(?:Z|[+-](?:0\d|1[0-5])(?::?[0-5]\d){0,2})$/

/** An instant as text: ISO 8601, or PostgreSQL's format. */
export function checkInstant(argument: string, value: unknown): string {
  const [text, day, time] = (typeof value === 'string' && INSTANT.exec(value)) || []
  const date = new Date(`${day}T${time}Z`)
  // JavaScript converts a date that does not exist, such as the 30th of February, to another date.
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(`${day}T${time}`)
  if (text !== undefined && exists) return text
  throw new ArgumentError(
    argument,
    `must be an instant as text, such as 2026-11-24T09:00:00.000Z, not ${tell(value)}`,
  )
}

export function checkBoolean(argument: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new ArgumentError(argument, `must be true or false, not ${tell(value)}`)
}

export function checkFunction<Callee>(argument: string, value: unknown): Callee {
  if (typeof value === 'function') return value as Callee
  throw new ArgumentError(argument, `must be a function, not ${tell(value)}`)
}

export function checkSignal(argument: string, value: unknown): AbortSignal {
  if (value instanceof AbortSignal) return value
  throw new ArgumentError(argument, `must be an AbortSignal, not ${tell(value)}`)
}

/** A logger is not copied, since its methods need it. Loggers of pino and winston may be functions. */
export function loggerOf<Log>(): Check<Log | undefined> {
  return optional((argument, value) => {
    if ((typeof value === 'object' && value !== null) || typeof value === 'function')
      return value as Log
    throw new ArgumentError(argument, `must be a logger, such as console, not ${tell(value)}`)
  })
}

export function wholeNumber(min: number, max: number): Check<number> {
  return (argument, value) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
      return value
    throw new ArgumentError(
      argument,
      `must be a whole number from ${min} to ${max}, not ${tell(value)}`,
    )
  }
}

/** `remedy`: what to do instead of passing a greater number. */
export function positive(max = Number.MAX_SAFE_INTEGER, remedy = ''): Check<number> {
  return (argument, value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0)
      throw new ArgumentError(argument, `must be a positive whole number, not ${tell(value)}`)
    if (value <= max) return value
    throw new ArgumentError(argument, `must be at most ${max}${remedy}, not ${value}`)
  }
}

export function numberWithin(min: number, max: number): Check<number> {
  return (argument, value) => {
    // NaN fails both comparisons.
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw new ArgumentError(argument, `must be a number from ${min} to ${max}, not ${tell(value)}`)
  }
}

export function oneOf<const Choice>(choices: readonly Choice[]): Check<Choice> {
  return (argument, value) => {
    const choice = choices.find((one) => one === value)
    if (choice !== undefined) return choice
    throw new ArgumentError(argument, `must be one of ${choices.join(', ')}, not ${tell(value)}`)
  }
}

export function optional<Value>(check: Check<Value>): Check<Value | undefined> {
  return (argument, value) => (value === undefined ? undefined : check(argument, value))
}

export function nullable<Value>(check: Check<Value>): Check<Value | null> {
  return (argument, value) => (value === null ? null : check(argument, value))
}

/** Maximum items per call. */
const MAX_ITEMS = 100_000

export function listOf<Value>(check: Check<Value>, max = MAX_ITEMS): Check<Value[]> {
  return (argument, value) =>
    copyList(argument, value, max).map((item, at) => check(`${argument}[${at}]`, item))
}

/** Copies a list to a plain array. */
export function copyList(argument: string, value: unknown, max: number): unknown[] {
  const list = whileReading(argument, () => {
    if (!Array.isArray(value)) return null
    const { length } = value
    if (length > max)
      throw new ArgumentError(argument, `must have at most ${max} items: call it several times`)
    return Array.from({ length }, (_, at) => (value as unknown[])[at])
  })
  if (list !== null) return list
  throw new ArgumentError(argument, `must be a list, not ${tell(value)}`)
}

export type Checked<Table> = {
  [Name in keyof Table]: Table[Name] extends Check<infer Value> ? Value : never
}

type Checks = { readonly [name: string]: Check<unknown> }

/**
 * Reads these properties of an object, each once, and checks them. It ignores other properties. `prefix` stands before their
 * names.
 */
export function checkParts<Table extends Checks>(
  argument: string,
  value: unknown,
  checks: Table,
  prefix = '',
): Checked<Table> {
  const names = Object.keys(checks)
  if (typeof value !== 'object' || value === null) {
    const expected = names.length === 0 ? '' : ` with ${names.join(', ')}`
    throw new ArgumentError(argument, `must be an object${expected}, not ${tell(value)}`)
  }
  const checked: Record<string, unknown> = {}
  for (const name of names) {
    const part = whileReading(argument, () => (value as Record<string, unknown>)[name])
    // Any access to a proxy may throw.
    checked[name] = whileReading(prefix + name, () =>
      (checks[name] as Check<unknown>)(prefix + name, part),
    )
  }
  return checked as Checked<Table>
}

/**
 * Checks these properties of an object that another function or package has created, and returns the object unchanged. `what`
 * is its origin, for the message.
 */
export function madeElsewhere<Made>(checks: Checks, what: string): Check<Made> {
  return (argument, value) => {
    try {
      checkParts(argument, value, checks)
    } catch (cause) {
      throw new ArgumentError(argument, `must be ${what}, not ${tell(value)}`, { cause })
    }
    return value as Made
  }
}

/** Wrong names of options, and the names to use instead. */
export type Hints = { readonly [name: string]: string }

/** Checks an object of options, and refuses unknown names. */
export function checkOptions<Table extends Checks>(
  argument: string,
  value: unknown,
  checks: Table,
  { prefix = '', hints = {} }: { prefix?: string; hints?: Hints } = {},
): Checked<Table> {
  if (typeof value === 'object' && value !== null) {
    const names = whileReading(argument, () => Object.keys(value))
    const unknown = names.find((name) => !Object.hasOwn(checks, name))
    if (unknown !== undefined)
      throw new ArgumentError(
        storableText(prefix + unknown, MAX_SHOWN),
        `is unknown: ${remedyOf(unknown, Object.keys(checks), hints)}`,
      )
  }
  return checkParts(argument, value, checks, prefix)
}

function remedyOf(unknown: string, known: readonly string[], hints: Hints): string {
  const hint = Object.hasOwn(hints, unknown) ? hints[unknown] : undefined
  if (hint !== undefined) return hint
  // A name may lack its unit, such as timeout for timeoutMs.
  const longer = known.filter((name) => name.startsWith(unknown))
  const near = longer.length === 1 ? longer[0] : findNearest(unknown, known)
  return near == null ? `the options are ${known.join(', ')}` : `did you mean ${near}?`
}

/** Checks a nested object of options. */
export function objectOf<Table extends Checks>(
  checks: Table,
  hints?: Hints,
): Check<Checked<Table>> {
  return (argument, value) =>
    checkOptions(argument, value, checks, { prefix: `${argument}.`, ...(hints && { hints }) })
}

/** Adds the owner of the arguments to each error of `check`. */
export function namedAfter<Value>(of: string, check: () => Value): Value {
  try {
    return check()
  } catch (error) {
    throw error instanceof ArgumentError ? renamed(error, { of }) : error
  }
}

/** Copies an object to a plain one, which another check reads. */
export function copyParts(argument: string, value: unknown): Record<string, unknown> {
  checkParts(argument, value, {})
  return whileReading(argument, () => ({ ...(value as object) }))
}

/** Whether it is an object without a class, and not a function. The prototype may come from another realm. */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  try {
    if (Array.isArray(value)) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === null || Object.getPrototypeOf(prototype) === null
  } catch {
    return false
  }
}

/** For a property that another check reads. */
export const asItIs: Check<unknown> = (_argument, value) => value

export const checkTexts = listOf(checkText)

/** The known name that the caller most likely meant. Null if none is similar. */
export function nearest(wanted: string, names: readonly string[]): string | null {
  return findNearest(checkText('wanted', wanted), checkTexts('names', names))
}

/** Checks the start of a page. */
export const checkPosition: Check<{ at: string; id: string }> = (argument, value) =>
  checkParts(argument, value, { at: checkInstant, id: checkId }, `${argument}.`)

/** Maximum of rows that one call returns: it holds them in memory. */
export const checkLimit = wholeNumber(1, 10_000)

/** The greatest possible distance of two instants. */
export const checkDurationMs = wholeNumber(0, 999_999_999_999)

/** The longest delay of a timer in Node: a timer with a longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Checks the delay of a timer, or a pause between two rounds. */
export const checkTimerMs = numberWithin(1, MAX_TIMER_MS)

/** Checks the maximum of a wait; Infinity means no limit. */
export const checkWaitMs: Check<number> = (argument, value) => {
  if (typeof value === 'number' && value >= 0) return value
  throw new ArgumentError(
    argument,
    `must be a number of milliseconds, from 0 on, not ${tell(value)}`,
  )
}

/** Maximum of runs at once, of a job or in a worker. */
export const MAX_CONCURRENCY = 10_000
export const checkConcurrency = wholeNumber(1, MAX_CONCURRENCY)

const NAMED = { name: checkText }

/** Checks the name of a job, which may be any object with a name. */
export function checkJobName(argument: string, job: unknown): string {
  return checkParts(argument, job, NAMED, `${argument}.`).name
}

/** Reads a value: a getter may throw, and so may any access to a proxy. */
export function whileReading<Value>(argument: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ArgumentError) throw cause
    throw new ArgumentError(argument, 'cannot be read: a getter of it throws; pass plain data', {
      cause,
    })
  }
}
