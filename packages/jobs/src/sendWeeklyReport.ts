import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

/** It has no schedule of its own: each customer has one, kept as data, in their time zone. */
export const sendWeeklyReport = defineJob({
  name: 'sendWeeklyReport',
  description: 'Sends a customer what they were invoiced since the report before.',
  payload: z.strictObject({ customerEmail: z.email().max(254) }),
  // Its work ends when the mail server has the message, or refuses it for good.
  steps: { write: {}, send: {} },
})
