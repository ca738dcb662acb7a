import { types } from 'node:util'
import type { JsonValue } from '../job/handler.ts'
import { storableBigint, storableText } from './storableText.ts'

/** The result of converting a foreign value. */
export type Storable =
  /**
   * `value` is a copy without other references to it, or undefined if JSON has nothing for the value. `bytes`: the length of
   * its JSON.
   */
  { kind: 'stored'; value: JsonValue | undefined; bytes: number } | { kind: 'tooLarge' }

/** PostgreSQL's and JSON's own functions are recursive, and fail at a few thousand levels. */
export const MAX_LEVELS = 64

const CIRCULAR = '[circular]'
const TOO_DEEP = '[too deep]'
const UNREADABLE = '[unreadable]'

/**
 * Converts any foreign value to JSON that PostgreSQL's jsonb accepts. It never throws, is not recursive, calls each getter and
 * `toJSON` once, and ends after about `maxBytes` steps.
 *
 * Like JSON.stringify, it leaves out functions, symbols and undefined (null in an array), and converts NaN and Infinity to
 * null, a Date to its text and a Map to an empty object. In addition, a bigint becomes a number, or its digits if a number
 * would not be exact. NUL and lone surrogates become U+FFFD, in keys too. A value that refers to itself, throws, or is nested
 * more than 64 levels deep becomes a text with the reason.
 */
export function storable(foreign: unknown, maxBytes: number): Storable {
  return makeCopy(foreign, openCopy(maxBytes, undefined))
}

/** The first part of a value that would change on its way, and the remedy for the caller. */
export interface Change {
  path: string[]
  problem: string
}

/**
 * Like storable, but instead of converting a value it returns the first part that would change, or that JSON.stringify would
 * lose. As in JSON, functions, symbols and undefined are left out of objects, and `toJSON` is called. `isPlain`: none of that
 * happened, so the copy equals the value.
 */
export function storableUnchanged(
  foreign: unknown,
  maxBytes: number,
): (Storable & { isPlain: boolean }) | { kind: 'changed'; change: Change } {
  const copy = openCopy(maxBytes, null)
  const made = makeCopy(foreign, copy)
  if (copy.change) return { kind: 'changed', change: copy.change }
  if (made.kind === 'stored' && made.value === undefined && foreign !== undefined)
    return { kind: 'changed', change: { path: [], problem: LEFT_OUT } }
  return { ...made, isPlain: copy.isPlain && foreign !== undefined }
}

function openCopy(maxBytes: number, change: Copy['change']): Copy {
  return { levels: [], left: maxBytes, stepsLeft: maxBytes, change, isPlain: true }
}

function makeCopy(foreign: unknown, copy: Copy): Storable {
  if (foreign === undefined) return { kind: 'stored', value: undefined, bytes: 0 }
  const maxBytes = copy.left
  const value = take(copy, foreign, '')
  const { levels } = copy
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    if (copy.change) break
    if (copy.left < 0 || copy.stepsLeft-- < 0) return { kind: 'tooLarge' }
    if (level.at === level.length) levels.pop()
    else step(copy, level)
  }
  if (copy.left < 0) return { kind: 'tooLarge' }
  return { kind: 'stored', value, bytes: maxBytes - copy.left }
}

const NUL_OR_HALF =
  'holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store; take it out'
const LEFT_OUT =
  'is undefined, a function or a symbol, which JSON does not have; pass null, or leave it out'

/** Records the first change, if the caller asked for it. The copy is then discarded. */
function tellChange(copy: Copy, problem: string): void {
  if (copy.change !== null) return
  // A level without a read item was opened for the changed value itself.
  const path = copy.levels
    .filter(({ at }) => at > 0)
    .map(({ keys, at }) => storableText(keys === null ? at - 1 : keys[at - 1], 100))
  copy.change = { path, problem }
}

/** The state of one copy. An argument instead of a closure, since every run makes several copies. */
interface Copy {
  /** The open objects and lists, each inside the one before. */
  levels: Level[]
  /** Remaining bytes; below zero once the copy is too large. */
  left: number
  stepsLeft: number
  /** The first change, or null if there is none. Undefined if the caller did not ask for it. */
  change: Change | null | undefined
  /** Whether everything so far was plain JSON. */
  isPlain: boolean
}

/** Copies the next item of the current object or array. */
function step(copy: Copy, level: Level): void {
  const at = level.at++
  const key = level.keys === null ? at : (level.keys[at] as string)
  const item = takeItem(copy, level.source, key)
  if (level.keys === null) {
    if (item === undefined) tellChange(copy, LEFT_OUT)
    ;(level.made as JsonValue[]).push(item === undefined ? spend(copy, null, 4) : item)
  } else {
    if (item === undefined) {
      copy.isPlain = false
      return
    }
    const made = level.made as Record<string, JsonValue>
    setOwn(made, takeKey(copy, made, key as string), item)
    copy.left--
  }
  if (level.isEmpty) level.isEmpty = false
  else copy.left--
}

/** Converts an item: a leaf at once. An object is opened, and copied step by step later. */
function take(copy: Copy, item: unknown, key: string | number): JsonValue | undefined {
  if (typeof item === 'bigint' ? copy.change === undefined : !isObject(item))
    return takeLeaf(copy, item)
  try {
    const { toJSON } = item as { toJSON?: unknown }
    if (typeof toJSON !== 'function')
      return isObject(item) ? open(copy, item) : takeLeaf(copy, item)
    copy.isPlain = false
    const made = toJSON.call(item, String(key)) as unknown
    if (made === null && types.isDate(item))
      tellChange(copy, 'is an invalid date; pass a valid one')
    return isObject(made) ? open(copy, made) : takeLeaf(copy, made)
  } catch {
    return takeUnreadable(copy)
  }
}

export const isObject = (item: unknown): item is object => typeof item === 'object' && item !== null

function takeUnreadable(copy: Copy): string {
  tellChange(copy, 'cannot be read, since a getter or toJSON of it throws; pass plain data')
  return takeText(copy, UNREADABLE)
}

function takeLeaf(copy: Copy, item: unknown): JsonValue | undefined {
  switch (typeof item) {
    case 'string':
      return takeText(copy, item)
    case 'number':
      // JSON has no -0: with it, the stored value would differ from the given one.
      if (Number.isFinite(item)) return spend(copy, item + 0, String(item).length)
      tellChange(copy, 'is not a finite number, which JSON does not have; pass null, or text')
      return spend(copy, null, 4)
    case 'bigint': {
      tellChange(
        copy,
        'is a bigint, which JSON does not have; pass a number, or its digits as text',
      )
      const made = storableBigint(item)
      return typeof made === 'number' ? takeLeaf(copy, made) : takeText(copy, made)
    }
    case 'boolean':
      return spend(copy, item, item ? 4 : 5)
    default:
      return item === null ? spend(copy, null, 4) : undefined
  }
}

/** Opens an object or a list. It may throw, but only before it has changed the copy. */
function open(copy: Copy, source: object): JsonValue {
  const prototype: unknown = Object.getPrototypeOf(source)
  const isOrdinary = prototype === Object.prototype
  if (!isOrdinary && prototype !== Array.prototype) copy.isPlain = false
  if (!isOrdinary && types.isBoxedPrimitive(source) && !types.isSymbolObject(source)) {
    return takeLeaf(copy, unbox(source)) as JsonValue
  }
  if (copy.levels.some((level) => level.source === source)) {
    tellChange(copy, 'contains itself, which JSON cannot express; pass an id instead')
    return takeText(copy, CIRCULAR)
  }
  if (copy.levels.length === MAX_LEVELS) {
    tellChange(copy, `is nested more than ${MAX_LEVELS} levels deep; make it flatter`)
    return takeText(copy, TOO_DEEP)
  }
  // The names of its elements alone would use several times its memory.
  if (ArrayBuffer.isView(source) && source.byteLength > copy.left)
    return spend(copy, null, Infinity)
  const isArray = Array.isArray(source)
  if (!isOrdinary && !isArray && hidesContent(source)) {
    const fix = types.isMap(source)
      ? 'a plain object'
      : types.isSet(source)
        ? 'a list'
        : 'plain data'
    tellChange(copy, `is an object whose content JSON leaves out; pass ${fix}`)
  }
  const keys = isArray ? null : Object.keys(source)
  const length = keys === null ? (source as unknown[]).length : keys.length
  const made = isArray ? [] : {}
  copy.levels.push({ source, keys, length, at: 0, made, isEmpty: true })
  return spend(copy, made, 2)
}

function takeText(copy: Copy, text: string): string {
  // A text has at least as many bytes as UTF-16 units.
  if (text.length > copy.left) return spend(copy, '', Infinity)
  if (PLAIN_TEXT.test(text)) return spend(copy, text, text.length + 2)
  const clean = storableText(text)
  if (clean !== text) tellChange(copy, NUL_OR_HALF)
  return spend(copy, clean, Buffer.byteLength(JSON.stringify(clean)))
}

/** If two keys differ only in replaced characters, both stay: the later one gets another U+FFFD. */
function takeKey(copy: Copy, made: object, key: string): string {
  let name = takeText(copy, key)
  if (PLAIN_TEXT.test(name)) return name
  while (Object.hasOwn(made, name) && copy.left >= 0) {
    name += REPLACEMENT
    copy.left -= Buffer.byteLength(REPLACEMENT)
  }
  return name
}

function spend<Item>(copy: Copy, item: Item, bytes: number): Item {
  copy.left -= bytes
  return item
}

/** An object or a list that is being copied. */
interface Level {
  source: object
  /** Null for a list. */
  keys: string[] | null
  length: number
  at: number
  made: JsonValue[] | Record<string, JsonValue>
  /** Whether no item has been written yet. */
  isEmpty: boolean
}

const REPLACEMENT = '\uFFFD'

/** Text that JSON does not escape. */
const PLAIN_TEXT = /^[ !#-[\]-~]*$/

function takeItem(copy: Copy, source: object, key: string | number): JsonValue | undefined {
  let item: unknown
  try {
    item = (source as Record<string | number, unknown>)[key]
  } catch {
    return takeUnreadable(copy)
  }
  return take(copy, item, key)
}

/** Whether the object has content that JSON would not contain. */
function hidesContent(source: object): boolean {
  return (
    types.isMap(source) ||
    types.isSet(source) ||
    types.isWeakMap(source) ||
    types.isWeakSet(source) ||
    types.isRegExp(source) ||
    source instanceof Error ||
    types.isPromise(source) ||
    types.isAnyArrayBuffer(source)
  )
}

function unbox(boxed: object): unknown {
  if (types.isNumberObject(boxed)) return Number.prototype.valueOf.call(boxed)
  if (types.isStringObject(boxed)) return String.prototype.valueOf.call(boxed)
  if (types.isBooleanObject(boxed)) return Boolean.prototype.valueOf.call(boxed)
  return BigInt.prototype.valueOf.call(boxed as unknown as bigint)
}

/** Sets `__proto__` as an ordinary key, too: an assignment would change the prototype. */
function setOwn(made: Record<string, JsonValue>, key: string, value: JsonValue): void {
  if (key !== '__proto__') made[key] = value
  else {
    Object.defineProperty(made, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
}
