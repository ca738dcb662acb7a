import { payloadProblem, type Job } from '@roundsman/engine'
import { z } from 'zod'
import type { ConsolePayload } from '../contract.ts'

/** Of a schema that is larger, a form would be no help. */
const MAX_LENGTH = 65_536

/** What a job takes, for who has to give it: nothing of any payload. */
export function describePayload(job: Job): ConsolePayload {
  return { isNeeded: payloadProblem(job, {}) !== null, schema: toJsonSchema(job.payload) }
}

/** As the library of the schema tells it (Standard JSON Schema), or zod from 4.0 on. Null where neither can. */
function toJsonSchema(schema: Job['payload']): ConsolePayload['schema'] {
  const standard = schema['~standard'] as Job['payload']['~standard'] & Partial<JsonStandard>
  try {
    const told = standard.jsonSchema
      ? standard.jsonSchema.input({ target: 'draft-2020-12' })
      : standard.vendor === 'zod' && '_zod' in schema
        ? z.toJSONSchema(schema as unknown as z.ZodType, { io: 'input', unrepresentable: 'any' })
        : null
    const json = JSON.stringify(told) as string | undefined
    if (json === undefined || json.length > MAX_LENGTH) return null
    const copy: unknown = JSON.parse(json)
    return typeof copy === 'object' && !Array.isArray(copy)
      ? (copy as Record<string, unknown>)
      : null
  } catch {
    // A schema is foreign code, and there is much that JSON Schema does not know.
    return null
  }
}

/** https://standardschema.dev/json-schema */
interface JsonStandard {
  jsonSchema: { input(options: { target: string }): unknown }
}
