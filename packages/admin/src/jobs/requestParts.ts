import { z } from 'zod'
import { storableText } from '../http/fields.ts'

/* What requests about jobs, work and runs have in common. */

export const jobName = storableText({ max: 100 }).describe('Name of the job')
export const nameParams = z.strictObject({ name: jobName })
export const idParams = z.strictObject({ id: z.guid() })
export const workParams = z.strictObject({ workId: z.guid() })

/** The reason of a person's request. The engine records it with their name. */
export const requestReason = storableText({ max: 500 })
  .refine((text) => text === '' || text.trim() !== '', 'is blank')
  .describe('Why; it is recorded with the name of the person who asks')

export const reasonBody = z.strictObject({ reason: requestReason })

/** A body that may give a reason, or may be missing. */
export const optionalReasonBody = z.strictObject({ reason: requestReason.optional() }).nullish()

export const dryRunFlag = z
  .boolean()
  .default(false)
  .describe(
    'Roll back database changes made through batches at the end. Mails and calls to other services really happen. Refused for a job whose definition has no dryRun',
  )

/** The key of work in a query. */
export const keyQuery = storableText({ min: 0, max: 200 })
  .optional()
  .describe('Only what has this key, by which its job divides its work; empty: what has none')

/** The value of a shown field in a query. */
export const shownQuery = {
  field: storableText({ max: 200 })
    .optional()
    .describe('A field that the job shows: only what has this `value` there, or without it none'),
  value: storableText({ max: 10_000 }).optional(),
}

export function readShownQuery({ field, value }: z.output<z.ZodObject<typeof shownQuery>>) {
  return field === undefined ? {} : { shown: { field, value: value ?? null } }
}
