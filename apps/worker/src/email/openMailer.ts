import { createMailer, type Mailer } from './createMailer.ts'
import type { Mailbox } from './parseMailbox.ts'

/** Null when no server is named. */
export function openMailer(env: {
  SMTP_URL?: string | undefined
  MAIL_FROM: Mailbox
}): Mailer | null {
  const { SMTP_URL: smtpUrl, MAIL_FROM: from } = env
  return smtpUrl === undefined ? null : createMailer({ smtpUrl, from })
}
