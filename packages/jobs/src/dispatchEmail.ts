import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

/*
 * A message of the outbox (EmailMessage) is in one of these states. The API and the alerts' channel write it as queued.
 *
 *   queued  The work that sends it was enqueued with it or, for an invoice without a PDF, is by renderInvoicePdf. It retries
 *           for about two days. The handler makes it sent, or failed: the server refused it for good, or no retries are
 *           left. The API moves a waiting one to a newer version of its invoice.
 *   failed  Nobody tries again by himself. Somebody who retries its work gives it another chance: queued, unless its
 *           invoice has changed since.
 *   sent    The mail server has taken it. Final: no other delivery changes or sends it.
 *
 * A row stays queued when its work is discarded, or lost at its last attempt; the API's findEmail shows it as failed.
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
  // It looks whether it could send the message, and sends nothing.
  dryRun: true,
})
