import { z } from 'zod'
import { storableText } from '../http/storableText.ts'

/** Why a person wants something done to a job or a run. The engine records it beside who they are. */
export const requestReason = storableText({ max: 500 })
  .refine((text) => text === '' || text.trim() !== '', 'is blank')
  .describe('Why; it is recorded with the name of the person who asks')

/** A body that may give a reason, or be missing. */
export const optionalReasonBody = z.strictObject({ reason: requestReason.optional() }).nullish()
