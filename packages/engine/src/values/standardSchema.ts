import { checkFunction } from './argument.ts'

/**
 * The part of a schema that the engine uses: Standard Schema, version 1 (https://standardschema.dev). Schemas of zod from 3.24
 * on, valibot and arktype have it.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Must be synchronous, although the standard allows a promise. */
    readonly validate: (
      value: unknown,
    ) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>
    /** Exists in the types only. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] }

export interface StandardSchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Whether a value has the shape of a Standard Schema. Never throws. */
export function isStandardSchema(foreign: unknown): foreign is StandardSchemaV1 {
  try {
    const { version, validate } = (foreign as StandardSchemaV1)['~standard']
    return version === 1 && typeof validate === 'function'
  } catch {
    return false
  }
}

/**
 * Creates a payload schema without a schema library. `read` returns the payload for a stored value, or throws an error with the
 * reason of its refusal. It must be synchronous.
 */
export function definePayload<Payload>(
  read: (value: unknown) => Payload,
): StandardSchemaV1<unknown, Payload> {
  checkFunction('read', read)
  return createSchema((value) => {
    try {
      return { value: read(value) }
    } catch (error) {
      return { issues: [{ message: error instanceof Error ? error.message : 'refused' }] }
    }
  })
}

/** An object without keys. */
const NOTHING = { type: 'object', properties: {}, additionalProperties: false }

/** Accepts only an object without keys: the schema of a job that defines none. */
export const noPayload = createSchema<never>((value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { issues: [{ message: 'must be an object', code: 'invalid_type' }] }
  }
  const keys = Object.keys(value)
  if (keys.length === 0) return { value: {} as never }
  const message = `the job takes no payload, and so no ${keys.slice(0, 10).join(', ')}`
  return { issues: [{ message, code: 'unrecognized_keys', keys }] }
}, NOTHING)

/** Accepts any value unchanged. */
export const anyPayload = createSchema((value) => ({ value }))

function createSchema<Output>(
  validate: (value: unknown) => StandardSchemaResult<Output>,
  json?: object,
): StandardSchemaV1<unknown, Output> {
  // https://standardschema.dev/json-schema
  const told = json && { jsonSchema: { input: () => json, output: () => json } }
  return { '~standard': { version: 1, vendor: 'roundsman', validate, ...told } }
}
