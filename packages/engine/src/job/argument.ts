import { types } from 'node:util'
import { storableText } from './storableText.ts'

/*
 * What programs pass in is checked before anything is asked of the database: what PostgreSQL refuses, it refuses in its own
 * words, and the caller's transaction goes with it. Each check returns a copy that holds nothing foreign.
 */

/** An argument that cannot be meant. The message names it, and says what to pass instead. */
export class ArgumentError extends TypeError {
  override readonly name = 'ArgumentError'
  readonly code = 'argument_invalid'
  /** Which argument, or which part of one: `limit`, `ids[3]`. */
  readonly argument: string

  constructor(argument: string, problem: string, options?: { cause?: unknown }) {
    super(`${argument} ${problem}`, options)
    this.argument = argument
  }
}

export type Check<Value> = (argument: string, value: unknown) => Value

const MAX_SHOWN = 100

/** Takes out the credentials of a URL, which may be where another value was meant. */
function withoutCredentials(text: string): string {
  return text.replace(/:\/\/\S*@/, '://…@').replace(/\b(password=)[^&\s]*/i, '$1…')
}

/** How an error tells a value. */
export function tell(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(storableText(withoutCredentials(value), MAX_SHOWN))
  if (value === null || typeof value !== 'object') return storableText(value, MAX_SHOWN)
  return types.isDate(value) ? storableText(value, MAX_SHOWN) : 'an object'
}

const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i

/** In lower case, as the database returns it. */
export function checkId(argument: string, value: unknown): string {
  if (typeof value === 'string' && UUID.test(value)) return value.toLowerCase()
  throw new ArgumentError(argument, `must be a UUID, as the engine returns it, not ${tell(value)}`)
}

/** Longer than any name, label or code. */
const MAX_TEXT_LENGTH = 10_000

export function checkText(argument: string, value: unknown): string {
  if (typeof value !== 'string')
    throw new ArgumentError(argument, `must be a text, not ${tell(value)}`)
  if (value.length > MAX_TEXT_LENGTH)
    throw new ArgumentError(argument, `must have at most ${MAX_TEXT_LENGTH} characters`)
  if (value.includes('\0') || !value.isWellFormed())
    throw new ArgumentError(
      argument,
      'holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store; take it out',
    )
  return value
}

export function checkDate(argument: string, value: unknown): Date {
  // A plain copy, without properties that foreign code may have set on the date.
  const date = types.isDate(value) ? new Date(Date.prototype.getTime.call(value)) : null
  const year = date?.getUTCFullYear() ?? Number.NaN
  // JSON writes other years with a sign, which PostgreSQL does not read.
  if (date !== null && year >= 1 && year <= 9_999) return date
  throw new ArgumentError(
    argument,
    `must be a valid date of the years 1 to 9999, not ${tell(value)}`,
  )
}

const INSTANT =
  /^((?!0000)\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d{1,6})?(?:Z|[+-](?:0\d|1[0-5])(?::?[0-5]\d){0,2})$/

/** An instant as text: ISO 8601, or as PostgreSQL writes it. */
export function checkInstant(argument: string, value: unknown): string {
  const [text, day, time] = (typeof value === 'string' && INSTANT.exec(value)) || []
  const date = new Date(`${day}T${time}Z`)
  // A date that does not exist, such as the 30th of February, is another one to JavaScript.
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

export function numberWithin(min: number, max: number): Check<number> {
  return (argument, value) => {
    // Neither is NaN.
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

/** As much as one call may be given. */
const MAX_ITEMS = 100_000

export function listOf<Value>(check: Check<Value>, max = MAX_ITEMS): Check<Value[]> {
  return (argument, value) =>
    copyList(argument, value, max).map((item, at) => check(`${argument}[${at}]`, item))
}

/** A plain array with the same items. */
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

type Checked<Checks> = {
  [name in keyof Checks]: Checks[name] extends Check<infer Value> ? Value : never
}

/** Reads those parts of an object, each once, and checks them. `prefix` stands before their names in errors. */
export function checkParts<Checks extends Record<string, Check<unknown>>>(
  argument: string,
  value: unknown,
  checks: Checks,
  prefix = '',
): Checked<Checks> {
  if (typeof value !== 'object' || value === null) {
    const expected = Object.keys(checks).join(', ')
    throw new ArgumentError(
      argument,
      `must be an object${expected === '' ? '' : ` with ${expected}`}, not ${tell(value)}`,
    )
  }
  const checked = Object.entries(checks).map(([name, check]) => {
    const part = whileReading(argument, () => (value as Record<string, unknown>)[name])
    return [name, check(prefix + name, part)]
  })
  return Object.fromEntries(checked) as Checked<Checks>
}

/** A plain object with the same parts, for what is checked elsewhere. */
export function copyParts(argument: string, value: unknown): Record<string, unknown> {
  checkParts(argument, value, {})
  return whileReading(argument, () => ({ ...(value as object) }))
}

/** Whether it is an object that no class has made, and no function. A realm of its own has a prototype of its own. */
export function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  try {
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === null || Object.getPrototypeOf(prototype) === null
  } catch {
    return false
  }
}

/** For what is checked elsewhere. */
export const asItIs: Check<unknown> = (_argument, value) => value

export const checkTexts = listOf(checkText)

/** Where a page begins. */
export const checkPosition: Check<{ at: string; id: string }> = (argument, value) =>
  checkParts(argument, value, { at: checkInstant, id: checkId }, `${argument}.`)

/** How many rows one call returns at most: it holds them in memory. */
export const checkLimit = wholeNumber(1, 10_000)

/** As much as any instant may be away from another. */
export const checkDurationMs = wholeNumber(0, 999_999_999_999)

/** The longest that a timer of Node's waits: one with a longer delay fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** What a timer is made of, or a pause between two rounds. */
export const checkTimerMs = numberWithin(1, MAX_TIMER_MS)

/** How long somebody is ready to wait; Infinity stands for as long as it takes. */
export const checkWaitMs: Check<number> = (argument, value) => {
  if (typeof value === 'number' && value >= 0) return value
  throw new ArgumentError(
    argument,
    `must be a number of milliseconds, from 0 on, not ${tell(value)}`,
  )
}

/** How many runs go on at once at most, of a job or in a worker. */
export const MAX_CONCURRENCY = 10_000
export const checkConcurrency = wholeNumber(1, MAX_CONCURRENCY)

const NAMED = { name: checkText }

/** The name of a job, which may be any object that has one. */
export function checkJobName(argument: string, job: unknown): string {
  return checkParts(argument, job, NAMED, `${argument}.`).name
}

/** A getter may throw, and so may any question about a proxy. */
function whileReading<Value>(argument: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ArgumentError) throw cause
    throw new ArgumentError(argument, 'cannot be read: a getter of it throws; pass plain data', {
      cause,
    })
  }
}
