import { createTransport, type NodemailerError } from 'nodemailer'
import { isMailAddress } from './isMailAddress.ts'
import { judgeSmtpError, type SmtpFailure } from './judgeSmtpError.ts'
import type { Mailbox } from './parseMailbox.ts'
import { parseSmtpUrl, type SmtpAddress } from './parseSmtpUrl.ts'

export interface MailerOptions {
  /** `smtp://` or `smtps://`, with the credentials in it. */
  smtpUrl: string
  from: Mailbox
  timeouts?: Partial<MailerTimeouts>
}

export interface MailerTimeouts {
  /** From the look-up of the name to the end of the TLS handshake. Default 30,000 ms. */
  connectMs: number
  /**
   * For the server's answer to a command. Default 80,000 ms: as long as a run's own time-out allows, because
   * who gives up after the whole message has gone does not know whether it was taken (RFC 5321, 4.5.3.2.6).
   */
  answerMs: number
}

export interface OutgoingEmail {
  to: Mailbox
  /** With or without its angle brackets. */
  messageId: string
  date: Date
  /** BCP 47. */
  language: string
  subject: string
  text: string
  html: string
  attachments: { filename: string; contentType: string; content: Buffer }[]
}

export type SendOutcome = { kind: 'sent' } | SmtpFailure

export interface Mailer {
  /** Rejects only when the signal aborts, with its reason; the connection is ended then. */
  send(email: OutgoingEmail, signal: AbortSignal): Promise<SendOutcome>
  /** Ends what is under way. */
  close(): void
}

/**
 * Sends over a connection of its own each time, and once. A pool would save a handshake per message, of which
 * a rate limit leaves few; but it sends a message again by itself when a connection breaks, unrecorded, and a
 * connection that the server has closed meanwhile would fail the next message.
 * @throws TypeError when the URL is not one of a mail server
 */
export function createMailer({ smtpUrl, from, timeouts = {} }: MailerOptions): Mailer {
  const { connectMs = 30_000, answerMs = 80_000 } = timeouts
  const address = parseSmtpUrl(smtpUrl)
  if (!address) throw new TypeError('The URL of the mail server is not one')
  const closing = new AbortController()
  const transport = createTransport({
    host: address.host,
    port: address.port,
    secure: address.isSecure,
    requireTLS: needsTls(address),
    ...(address.auth && { auth: address.auth }),
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: answerMs,
    // Every line would name the recipient.
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  return {
    async send({ to, language, ...email }, signal) {
      const either = AbortSignal.any([signal, closing.signal])
      either.throwIfAborted()
      // Written so that it is two, or a command, it would be taken for that.
      if (!isMailAddress(to.address)) {
        return { kind: 'refused', code: 'recipient_invalid', smtpStatus: null }
      }
      try {
        await transport.sendMail({
          ...email,
          from,
          to,
          headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
          // It would tell the version of a library.
          xMailer: false,
          signal: either,
        })
        return { kind: 'sent' }
      } catch (error) {
        if (either.aborted) throw either.reason
        return judgeSmtpError(error as NodemailerError)
      }
    },
    close() {
      closing.abort(new Error('The mailer is closed'))
      transport.close()
    },
  }
}

/** Somebody on the way could hide that the server offers STARTTLS, and read the password. */
function needsTls({ isSecure, auth, host }: SmtpAddress): boolean {
  return !isSecure && auth !== null && !/^(localhost|127\.[\d.]+|::1)$/.test(host)
}
