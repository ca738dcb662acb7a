import { types } from 'node:util'
import { describeIssues, judge, type PayloadIssue } from '../values/askSchema.ts'
import type { Job } from './defineJob.ts'
import { JobError } from './jobError.ts'
import { readPart } from '../values/readPart.ts'
import { isObject, MAX_LEVELS } from '../values/storable.ts'
import { storableText } from '../values/storableText.ts'

/**
 * Validates the JSON of a payload that is not plain JSON, as each of its runs will, and returns the schema's output for it.
 * `accepted` is the schema's output for the payload itself.
 * @throws JobError `payload_invalid` if the schema refuses the JSON, or if JSON would change a Date, bytes, a Map or a Set that
 * the schema accepted
 */
export function askAboutJson(
  { payload: schema }: Pick<Job, 'payload'>,
  payload: unknown,
  accepted: unknown,
  json: unknown,
): unknown {
  // A copy, since a schema may change its input. A run treats a missing payload as an empty object.
  const answer = judge(schema, json === undefined ? {} : copyJson(json))
  const isZod = readPart(schema['~standard'], 'vendor') === 'zod'
  const issues =
    answer.kind === 'accepted'
      ? findLost(accepted, answer.value, [], isZod)
      : answer.issues.flatMap((issue) => explain(issue, payload, isZod))
  if (answer.kind === 'accepted' && issues.length === 0) return answer.value
  throw new JobError('payload_invalid', storableText(describeIssues(issues), 2_000), {
    retryable: false,
    cause: answer.kind === 'refused' ? answer.failure?.reason : undefined,
    details: { issues },
  })
}

function copyJson(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(copyJson)
  if (!isObject(json)) return json
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, copyJson(item)]))
}

/** Names the values at fault. The schema's own messages are about text where the caller passed a Date. */
function explain(issue: PayloadIssue, payload: unknown, isZod: boolean): PayloadIssue[] {
  const value = issue.path.reduce<unknown>(
    (part, key) => (isObject(part) ? readPart(part, key) : undefined),
    payload,
  )
  const lost = findLost(value, undefined, issue.path, isZod)
  if (lost.length > 0) return lost
  const message = `is something else in JSON, which the schema refuses (${issue.message}); pass plain data`
  return [{ ...issue, message }]
}

type Kind = 'date' | 'bytes' | 'map' | 'set'

/** The kinds of values that a schema may accept unchanged and never gets from JSON. */
function kindOf(value: unknown): Kind | null {
  if (!isObject(value) || isOrdinary(value)) return null
  if (types.isDate(value)) return 'date'
  if (types.isMap(value)) return 'map'
  if (types.isSet(value)) return 'set'
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) ? 'bytes' : null
}

const HINTS = {
  bytes: 'bytes become a list of numbers in JSON; pass base64 text, or an id',
  map: 'a Map becomes an empty object in JSON; pass an object',
  set: 'a Set becomes an empty object in JSON; pass a list',
}

function hint(kind: Kind, isZod: boolean): string {
  if (kind !== 'date') return HINTS[kind]
  const fix = isZod ? 'use z.coerce.date()' : 'use a schema that makes a Date of the text'
  return `a Date becomes text in JSON; ${fix}`
}

const MAX_LOST = 10
const MAX_STEPS = 1_000_000

/** Finds the first Dates, bytes, Maps and Sets of `before` that differ in `after`. Never throws. */
function findLost(
  before: unknown,
  after: unknown,
  start: readonly string[],
  isZod: boolean,
): PayloadIssue[] {
  const lost: PayloadIssue[] = []
  const path = [...start]
  const compared = new Map<object, unknown>()
  let steps = 0
  try {
    if (isObject(before)) compare(before, after)
  } catch {
    // A getter or a Proxy in the schema's output has thrown. The handler may not read it, so this is no reason to refuse.
  }
  return lost

  function compare(one: object, other: unknown): void {
    if (one === other || path.length > MAX_LEVELS) return
    if (lost.length === MAX_LOST || steps > MAX_STEPS) return
    const kind = kindOf(one)
    if (kind !== null && kind !== kindOf(other)) {
      const named = path.map((key) => storableText(key, 100))
      lost.push({ path: named, code: 'unstorable', message: hint(kind, isZod) })
      return
    }
    if (kind === 'date' || kind === 'bytes') return
    // Stops at an object that contains itself.
    if (compared.has(one) && compared.get(one) === other) return
    compared.set(one, other)
    const items = itemsOf(one)
    const otherItems = isObject(other) ? itemsOf(other) : {}
    for (const key of Object.keys(items)) {
      steps++
      const item = items[key]
      if (!isObject(item)) continue
      path.push(key)
      compare(item, otherItems[key])
      path.pop()
    }
  }
}

function isOrdinary(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}

/** The entries of a Map or a Set, in their order; for any other object, the object itself. */
function itemsOf(value: object): { readonly [key: string]: unknown } {
  const items = types.isMap(value) || types.isSet(value) ? [...value] : value
  return items as { readonly [key: string]: unknown }
}
