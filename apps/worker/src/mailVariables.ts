import { integerVariable } from '@roundsman/node-app'
import { z } from 'zod'
import { parseMailbox } from './email/parseMailbox.ts'
import { parseSmtpUrl } from './email/parseSmtpUrl.ts'

/** Of this machine by its name (RFC 6761), so that nobody else's is claimed; a real server refuses it. */
const DEFAULT_FROM = 'no-reply@roundsman.localhost'

/** Which server takes our mail, from whom it is, and how much of it the server bears. */
export const mailVariables = {
  SMTP_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || parseSmtpUrl(text) !== null, {
      // The value is not repeated: it may hold a password.
      error:
        "is not a mail server's URL; set smtp://user:password@host:587 or smtps://user:password@host:465, or leave it out and mail waits",
    }),
  MAIL_FROM: z
    .string()
    .default(DEFAULT_FROM)
    .transform((text, context) => {
      const mailbox = parseMailbox(text)
      if (mailbox) return mailbox
      context.addIssue(
        `${JSON.stringify(text)} is not an e-mail address; set one such as billing@example.com or Example <billing@example.com>`,
      )
      return z.NEVER
    }),
  SMTP_MAX_PER_SECOND: integerVariable({ min: 1, max: 1_000, default: 10 }),
}
