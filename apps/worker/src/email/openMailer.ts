import type { Mailer } from './createMailer.ts'
import type { Mailbox } from './parseMailbox.ts'

/** Opens the mailer, or returns null when no server is set; nodemailer is then not even loaded. */
export async function openMailer(env: {
  SMTP_URL?: string | undefined
  MAIL_FROM: Mailbox
}): Promise<Mailer | null> {
  const { SMTP_URL: smtpUrl, MAIL_FROM: from } = env
  if (smtpUrl === undefined) return null
  const { createMailer } = await import('./createMailer.ts')
  return createMailer({ smtpUrl, from })
}
