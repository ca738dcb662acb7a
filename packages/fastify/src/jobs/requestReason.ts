import { z } from 'zod'
import { storableText } from '../http/storableText.ts'

/** Why a person wants something done to a job or a run; it is recorded beside who they are. */
export const requestReason = storableText({ max: 500 })
  .refine((text) => text === '' || text.trim() !== '', 'is blank')
  .describe('Why; recorded beside who asks')

/** The body of a request that may say why, and may have no body at all. */
export const optionalReasonBody = z.strictObject({ reason: requestReason.optional() }).nullish()
