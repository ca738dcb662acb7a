import { types } from 'node:util'
import type { JsonValue } from './handler.ts'
import { storableBigint, storableText } from './storableText.ts'

/** What became of a foreign value. */
export type Storable =
  /** `value` is a copy that nobody else holds; undefined where JSON has nothing for it. `bytes` are those of its JSON. */
  { kind: 'stored'; value: JsonValue | undefined; bytes: number } | { kind: 'tooLarge' }

/** PostgreSQL's and JSON's own functions recurse, and give up a few thousand levels down. */
const MAX_LEVELS = 64

const CIRCULAR = '[circular]'
const TOO_DEEP = '[too deep]'
const UNREADABLE = '[unreadable]'

/**
 * Turns whatever foreign code hands over into JSON that PostgreSQL's jsonb takes. It never throws, does not recurse,
 * and ends after about as many steps as there may be bytes. Each getter and `toJSON` is called once.
 *
 * As JSON does: functions, symbols and undefined are left out (null in an array), NaN and Infinity are null, a Date
 * is its text, a Map is an empty object. Beyond it: a bigint is a number, or its digits where that would not be
 * exact; NUL and lone surrogates are U+FFFD, in keys as well; what refers to itself, throws, or lies more than 64
 * levels deep is a text that says so.
 */
export function storable(foreign: unknown, maxBytes: number): Storable {
  return makeCopy(foreign, { levels: [], left: maxBytes, stepsLeft: maxBytes, change: undefined })
}

/** Something within a value that would not arrive as it is, and what to do instead. */
export interface Change {
  path: string[]
  problem: string
}

/**
 * The same for a value that is stored as JSON.stringify writes it, or not at all: the first thing is told that
 * would have to be converted, or that JSON.stringify would lose. As it does, this leaves functions, symbols and undefined
 * out of objects, and calls `toJSON`.
 */
export function storableUnchanged(
  foreign: unknown,
  maxBytes: number,
): Storable | { kind: 'changed'; change: Change } {
  const copy: Copy = { levels: [], left: maxBytes, stepsLeft: maxBytes, change: null }
  const made = makeCopy(foreign, copy)
  if (copy.change) return { kind: 'changed', change: copy.change }
  if (made.kind === 'stored' && made.value === undefined && foreign !== undefined)
    return { kind: 'changed', change: { path: [], problem: LEFT_OUT } }
  return made
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
const LEFT_OUT = 'is nothing that JSON has; pass null, or leave it out'

/** Only where it is told. What comes after it is of no account. */
function tellChange(copy: Copy, problem: string): void {
  if (copy.change !== null) return
  // A level whose first item has not been read was opened for what is told of.
  const path = copy.levels
    .filter(({ at }) => at > 0)
    .map(({ keys, at }) => storableText(keys === null ? at - 1 : keys[at - 1], 100))
  copy.change = { path, problem }
}

/** Functions share it, rather than closing over it: every run has one. */
interface Copy {
  /** What is being gone through, each within the one before. */
  levels: Level[]
  /** Bytes; below zero once there are too many. */
  left: number
  stepsLeft: number
  /** The first one; null before it, undefined where none is told. */
  change: Change | null | undefined
}

function step(copy: Copy, level: Level): void {
  const at = level.at++
  const key = level.keys === null ? at : (level.keys[at] as string)
  const item = takeItem(copy, level.source, key)
  if (level.keys === null) {
    if (item === undefined) tellChange(copy, LEFT_OUT)
    ;(level.made as JsonValue[]).push(item === undefined ? spend(copy, null, 4) : item)
  } else {
    if (item === undefined) return
    const made = level.made as Record<string, JsonValue>
    setOwn(made, takeKey(copy, made, key as string), item)
    copy.left--
  }
  if (level.isEmpty) level.isEmpty = false
  else copy.left--
}

function take(copy: Copy, item: unknown, key: string | number): JsonValue | undefined {
  if (typeof item === 'bigint' ? copy.change === undefined : !isObject(item))
    return takeLeaf(copy, item)
  try {
    const { toJSON } = item as { toJSON?: unknown }
    if (typeof toJSON !== 'function')
      return isObject(item) ? open(copy, item) : takeLeaf(copy, item)
    const made = toJSON.call(item, String(key)) as unknown
    if (made === null && types.isDate(item))
      tellChange(copy, 'is an invalid date; pass a valid one')
    return isObject(made) ? open(copy, made) : takeLeaf(copy, made)
  } catch {
    return takeUnreadable(copy)
  }
}

const isObject = (item: unknown): item is object => typeof item === 'object' && item !== null

function takeUnreadable(copy: Copy): string {
  tellChange(copy, 'cannot be read, since a getter or toJSON of it throws; pass plain data')
  return takeText(copy, UNREADABLE)
}

function takeLeaf(copy: Copy, item: unknown): JsonValue | undefined {
  switch (typeof item) {
    case 'string':
      return takeText(copy, item)
    case 'number':
      if (Number.isFinite(item)) return spend(copy, item, String(item).length)
      tellChange(copy, 'is not a finite number, and JSON has no other; pass null, or text')
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

/** May throw, before it has changed anything. */
function open(copy: Copy, source: object): JsonValue {
  const isOrdinary = Object.getPrototypeOf(source) === Object.prototype
  if (!isOrdinary && types.isBoxedPrimitive(source) && !types.isSymbolObject(source)) {
    return takeLeaf(copy, unbox(source)) as JsonValue
  }
  if (copy.levels.some((level) => level.source === source)) {
    tellChange(copy, 'refers to what it is a part of, which JSON cannot; pass an id instead')
    return takeText(copy, CIRCULAR)
  }
  if (copy.levels.length === MAX_LEVELS) {
    tellChange(copy, `lies more than ${MAX_LEVELS} levels deep; make it flatter`)
    return takeText(copy, TOO_DEEP)
  }
  // The names of its elements alone would take as many times its memory.
  if (ArrayBuffer.isView(source) && source.byteLength > copy.left)
    return spend(copy, null, Infinity)
  const isArray = Array.isArray(source)
  if (!isOrdinary && !isArray && hidesContent(source))
    tellChange(
      copy,
      'is an object whose content JSON leaves out; pass plain objects, lists and texts',
    )
  const keys = isArray ? null : Object.keys(source)
  const length = keys === null ? (source as unknown[]).length : keys.length
  const made = isArray ? [] : {}
  copy.levels.push({ source, keys, length, at: 0, made, isEmpty: true })
  return spend(copy, made, 2)
}

function takeText(copy: Copy, text: string): string {
  // No text is shorter in bytes than in units.
  if (text.length > copy.left) return spend(copy, '', Infinity)
  if (PLAIN_TEXT.test(text)) return spend(copy, text, text.length + 2)
  const clean = storableText(text)
  if (clean !== text) tellChange(copy, NUL_OR_HALF)
  return spend(copy, clean, Buffer.byteLength(JSON.stringify(clean)))
}

/** Two keys may differ in nothing but what is taken out of them: neither may take the other's place. */
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

/** An object or a list that is being gone through. */
interface Level {
  source: object
  /** Null of a list. */
  keys: string[] | null
  length: number
  at: number
  made: JsonValue[] | Record<string, JsonValue>
  /** Whether nothing of it has been written. */
  isEmpty: boolean
}

const REPLACEMENT = '\uFFFD'

/** Stands for itself between quotation marks. */
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

/** Also `__proto__`, which an assignment would take for something else. */
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
