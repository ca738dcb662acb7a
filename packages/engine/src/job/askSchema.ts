import { types } from 'node:util'
import type { Job } from './defineJob.ts'
import type { StandardSchemaV1 } from './standardSchema.ts'
import { createRedact } from './redact.ts'
import { storableText } from './storableText.ts'

/** Of a list of thousands, each item may be wrong. */
const MAX_ISSUES = 100
const MAX_DESCRIBED = 10
const MAX_PATH = 64

export type SchemaAnswer =
  | { kind: 'accepted'; value: unknown }
  | { kind: 'refused'; issues: PayloadIssue[] }

/** A type, so that it is one of the JSON values. */
export type PayloadIssue = {
  path: string[]
  /** Without the texts at that path: some libraries quote what they refuse. */
  message: string
  /** The library's own word for it; `custom` where it has none. */
  code: string
  /** Those that the schema does not know, where it is this. */
  keys?: string[]
}

export const SCHEMA_FAILED =
  'its schema failed itself; a schema must be synchronous, and must not throw'

/**
 * What a schema says of a value. It has to be synchronous: what one that is not comes to in the end is for nobody, and
 * so is its rejection.
 * @throws whatever the schema throws, and TypeError when it answers with a promise, or with nonsense
 */
export function askSchema(schema: StandardSchemaV1, value: unknown): SchemaAnswer {
  const answer: unknown = schema['~standard'].validate(value)
  if (typeof answer !== 'object' || answer === null) throw new TypeError('it says nothing')
  refusePromise(answer)
  const { issues } = answer as { issues?: unknown }
  if (issues !== undefined) {
    if (!Array.isArray(issues)) throw new TypeError('its issues are no list')
    return {
      kind: 'refused',
      issues: firstOf(issues, MAX_ISSUES).map((issue) => readIssue(issue, value)),
    }
  }
  if (!('value' in answer)) throw new TypeError('it neither accepts nor refuses')
  const { value: accepted } = answer
  if (types.isPromise(accepted)) refusePromise(accepted)
  return { kind: 'accepted', value: accepted }
}

/** Zod's schemas answer with a promise as well when something in them throws. */
function refusePromise(answer: object): void {
  if (typeof (answer as { then?: unknown }).then !== 'function') return
  Promise.resolve(answer).catch(() => undefined)
  throw new TypeError('it is asynchronous, or something in it has thrown')
}

function readIssue(foreign: unknown, payload: unknown): PayloadIssue {
  const { message, path, code, keys } = foreign as Record<string, unknown>
  const steps = (Array.isArray(path) ? firstOf(path, MAX_PATH) : []).map(keyOf)
  const value = steps.reduce(stepInto, payload)
  const redact = createRedact(value)
  // zod says of it that it received undefined.
  const isMissing = code === 'invalid_type' && steps.length > 0 && value === undefined
  return {
    path: steps.map((step) => storableText(step, 100)),
    message: isMissing ? 'Required' : storableText(redact(storableText(message)), 500),
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

/** In a list of our own: arktype's are of classes that copies would be of as well. */
function firstOf(foreign: readonly unknown[], most: number): unknown[] {
  return Array.from({ length: Math.min(foreign.length, most) }, (_, at) => foreign[at])
}

/** Which part of a payload its schema refuses, and why; never the value. */
export function describeIssues(issues: readonly PayloadIssue[], whole = 'payload'): string {
  return issues
    .slice(0, MAX_DESCRIBED)
    .map(({ path, message }) => `${path.join('.') || whole}: ${message}`)
    .join('; ')
}

/** Why a job does not take a payload, for people, or null when it does. It never throws. */
export function payloadProblem(job: Pick<Job, 'payload'>, payload: unknown): string | null {
  try {
    const answer = askSchema(job.payload, payload)
    return answer.kind === 'accepted' ? null : describeIssues(answer.issues)
  } catch {
    return `payload: ${SCHEMA_FAILED}`
  }
}
