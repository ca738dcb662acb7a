import type { z } from 'zod'
import type { Job } from './defineJob.ts'

/**
 * What the schema of a job says of a payload. A schema has to be synchronous: what one that is not comes to in the end
 * is for nobody, and so is its rejection.
 * @throws whatever the schema throws, and TypeError when it answers with a promise
 */
export function askSchema(
  { payload: schema }: Pick<Job, 'payload'>,
  payload: unknown,
): ReturnType<Job['payload']['safeParse']> {
  const parsed = schema.safeParse(payload)
  if (typeof (parsed as { then?: unknown }).then !== 'function') return parsed
  Promise.resolve(parsed).catch(() => undefined)
  throw new TypeError('it is asynchronous')
}

/** Which part of a payload its schema refuses, and why; never the value. */
export function describePayloadError(error: z.ZodError): string {
  return error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`)
    .join('; ')
}
