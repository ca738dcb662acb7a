import { payloadProblem } from '@roundsman/engine/internal'
import type { Job } from '@roundsman/engine'
import { z } from 'zod'
import type { ConsolePayload } from '../contract.ts'

/** A form for a larger schema would be useless. */
const MAX_LENGTH = 65_536

/** Describes a job's payload for a form. It reveals no payload, and never throws, since a schema is foreign code. */
export function describePayload(job: Pick<Job, 'payload'>): ConsolePayload {
  return { isNeeded: payloadProblem(job, {}) !== null, schema: toJsonSchema(job.payload) }
}

/** Null if neither the engine nor the schema's library can describe it. */
function toJsonSchema(schema: Job['payload']): ConsolePayload['schema'] {
  return readSchema(() => ofZod(schema)) ?? readSchema(() => ofItsLibrary(schema))
}

/**
 * Uses the description of zod from 4.0 on, which throws at the first part without a JSON form, such as a date. The form
 * requests a date as text, as a payload holds it, and other such parts as JSON.
 */
function ofZod(schema: Job['payload']): unknown {
  if (schema['~standard'].vendor !== 'zod' || !('_zod' in schema)) return null
  return z.toJSONSchema(schema as unknown as z.ZodType, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'date')
        Object.assign(jsonSchema, { type: 'string', format: 'date-time' })
    },
  })
}

/** https://standardschema.dev/json-schema */
interface JsonStandard {
  jsonSchema: { input(options: { target: string }): unknown }
}

function ofItsLibrary(schema: Job['payload']): unknown {
  const standard = schema['~standard'] as Job['payload']['~standard'] & Partial<JsonStandard>
  return standard.jsonSchema?.input({ target: 'draft-2020-12' }) ?? null
}

function readSchema(tell: () => unknown): ConsolePayload['schema'] {
  try {
    const told = tell()
    if (Array.isArray(told)) return null
    const json = JSON.stringify(told) as string | undefined
    if (json === undefined || json.length > MAX_LENGTH) return null
    const copy: unknown = JSON.parse(json)
    const isObject = typeof copy === 'object' && !Array.isArray(copy)
    return isObject ? (copy as Record<string, unknown>) : null
  } catch {
    return null
  }
}
