import type { z } from 'zod'
import { storableText } from '../http/storableText.ts'

/** How a query names the key of work. */
export const keyQuery = storableText({ min: 0, max: 200 })
  .optional()
  .describe('Only what has this key, by which its job divides its work; empty: what has none')

/** How a query names the value of a field that a job shows. */
export const shownQuery = {
  field: storableText({ max: 200 })
    .optional()
    .describe('A field that the job shows: only what has this `value` there, or without it none'),
  value: storableText({ max: 10_000 }).optional(),
}

export function readShownQuery({ field, value }: z.output<z.ZodObject<typeof shownQuery>>) {
  return field === undefined ? {} : { shown: { field, value: value ?? null } }
}
