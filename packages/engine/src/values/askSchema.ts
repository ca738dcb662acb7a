import { types } from 'node:util'
import type { Job } from '../job/defineJob.ts'
import type { StandardSchemaV1 } from './standardSchema.ts'
import { storableText } from './storableText.ts'

/** A list of thousands may have an issue for each item. */
const MAX_ISSUES = 100
const MAX_DESCRIBED = 10
const MAX_PATH = 64

export type SchemaAnswer =
  | { kind: 'accepted'; value: unknown }
  /** `failure`: the error that the schema has thrown. */
  | { kind: 'refused'; issues: PayloadIssue[]; failure?: { reason: unknown } }

/** An issue that a schema has found. A type and not an interface, so that it is assignable to JsonValue. */
export type PayloadIssue = {
  path: string[]
  message: string
  /** The library's own code; `custom` if it has none. */
  code: string
  /** The unknown keys, for code `unrecognized_keys`. */
  keys?: string[]
}

export const SCHEMA_FAILED =
  'its schema itself failed; a schema must be synchronous and must not throw'

/**
 * Validates a value with a schema. The schema must be synchronous: the result and the rejection of a promise are ignored.
 * @throws the schema's own error, and TypeError if it returns a promise or an invalid answer
 */
export function askSchema(schema: StandardSchemaV1, value: unknown): SchemaAnswer {
  const answer: unknown = schema['~standard'].validate(value)
  if (typeof answer !== 'object' || answer === null) throw new TypeError('it returned no object')
  refusePromise(answer)
  const { issues } = answer as { issues?: unknown }
  if (issues !== undefined) {
    if (!Array.isArray(issues)) throw new TypeError('its issues are not a list')
    return {
      kind: 'refused',
      issues: firstOf(issues, MAX_ISSUES).map((issue) => readIssue(issue, value)),
    }
  }
  if (!('value' in answer)) throw new TypeError('it returned neither value nor issues')
  const { value: accepted } = answer
  if (types.isPromise(accepted)) refusePromise(accepted)
  return { kind: 'accepted', value: accepted }
}

/** The same for a schema that may itself fail, since it is foreign code: a failure counts as a refusal. Never throws. */
export function judge(schema: StandardSchemaV1, value: unknown): SchemaAnswer {
  try {
    return askSchema(schema, value)
  } catch (reason) {
    const issues = [{ path: [], code: 'custom', message: SCHEMA_FAILED }]
    return { kind: 'refused', issues, failure: { reason } }
  }
}

/** Refuses a promise. Zod also returns one if something in a synchronous schema throws. */
function refusePromise(answer: object): void {
  if (typeof (answer as { then?: unknown }).then !== 'function') return
  Promise.resolve(answer).catch(() => undefined)
  throw new TypeError('it is asynchronous, or something in it has thrown')
}

/** Reads an issue of any schema library: bounded and storable. */
function readIssue(foreign: unknown, payload: unknown): PayloadIssue {
  const { message, path, code, keys } = foreign as Record<string, unknown>
  const steps = (Array.isArray(path) ? firstOf(path, MAX_PATH) : []).map(keyOf)
  const value = steps.reduce(stepInto, payload)
  // zod reports a missing value as a value of undefined.
  const isMissing = code === 'invalid_type' && steps.length > 0 && value === undefined
  return {
    path: steps.map((step) => storableText(step, 100)),
    message: isMissing ? 'Required' : storableText(message, 500),
    code: typeof code === 'string' ? storableText(code, 100) : 'custom',
    ...(code === 'unrecognized_keys' &&
      Array.isArray(keys) && {
        keys: firstOf(keys, MAX_ISSUES).map((key) => storableText(key, 100)),
      }),
  }
}

function keyOf(step: unknown): unknown {
  return typeof step === 'object' && step !== null ? (step as { key?: unknown }).key : step
}

function stepInto(value: unknown, key: unknown): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<PropertyKey, unknown>)[key as PropertyKey]
    : undefined
}

/** Copies into a plain array: arktype's lists have a class, and the result of slice() would have it, too. */
function firstOf(foreign: readonly unknown[], most: number): unknown[] {
  return Array.from({ length: Math.min(foreign.length, most) }, (_, at) => foreign[at])
}

/** Describes the parts of a payload that its schema refuses, with the reasons. A schema's message may quote the payload. */
export function describeIssues(issues: readonly PayloadIssue[], whole = 'payload'): string {
  return issues
    .slice(0, MAX_DESCRIBED)
    .map(({ path, message }) => `${path.join('.') || whole}: ${message}`)
    .join('; ')
}

/** Describes for people why a job does not accept a payload. Null if it does. Never throws. */
export function payloadProblem(job: Pick<Job, 'payload'>, payload: unknown): string | null {
  const answer = judge(job.payload, payload)
  return answer.kind === 'accepted' ? null : describeIssues(answer.issues)
}
