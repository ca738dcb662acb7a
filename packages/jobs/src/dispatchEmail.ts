import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

/*
 * A message of the outbox (EmailMessage) is in one of these states. The API and the alerts' channel write it as queued,
 * together with the work that sends it.
 *
 *   queued  Its work sends it, retrying for about two days, or waits for its PDF. The API moves it to a newer version of its
 *           invoice. The handler makes it sent, or failed: the server refused it for good, or no retries are left.
 *   failed  Nobody tries again by himself. Somebody who redrives its work gives it another chance: queued.
 *   sent    The mail server has taken it. Final: no other delivery changes or sends it.
 */

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
