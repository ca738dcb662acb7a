import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

/** Tries for about two days: ten attempts within an hour and a half, then one an hour. */
const RETRY = { limit: 58, delayMs: 5_000, maxDelayMs: 3_600_000 }

export const dispatchEmail = defineJob({
  name: 'dispatchEmail',
  description: 'Sends one message of the outbox to the mail server.',
  payload: z.strictObject({ emailId: z.guid() }),
  timeoutMs: 2 * 60_000,
  retry: RETRY,
  rateLimit: { limit: 10, perMs: 1_000 },
})
