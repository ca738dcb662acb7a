import type { z } from 'zod'

/** Which part of a payload its schema refuses, and why; never the value. */
export function describePayloadError(error: z.ZodError): string {
  return error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`)
    .join('; ')
}
