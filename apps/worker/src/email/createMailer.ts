import { createTransport, type NodemailerError } from 'nodemailer'
import { isMailAddress } from './isMailAddress.ts'
import { judgeSmtpError, type SmtpFailure } from './judgeSmtpError.ts'
import type { Mailbox } from './parseMailbox.ts'
import { parseSmtpUrl, type SmtpAddress } from './parseSmtpUrl.ts'

export interface MailerOptions {
  /** `smtp://` or `smtps://`, with user and password in it. */
  smtpUrl: string
  from: Mailbox
  timeouts?: Partial<MailerTimeouts>
}

export interface MailerTimeouts {
  /** How long connecting may take, from the look-up of the name to the end of the TLS handshake. Default 30,000 ms. */
  connectMs: number
  /**
   * How long the server may take to answer a command. Default 80,000 ms, which ends before a run's time-out: whoever
   * gives up after the whole message has gone does not know whether the server took it (RFC 5321, 4.5.3.2.6).
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
  /** Sends one message. Rejects only when the signal aborts, with its reason, and then ends the connection. */
  send(email: OutgoingEmail, signal: AbortSignal): Promise<SendOutcome>
  /** Ends what is being sent. */
  close(): void
}

/**
 * Opens a connection for each message and tries once. A pool would save handshakes, but sends a message again by itself
 * when a connection breaks, unrecorded, and the first message after the server closed a connection would fail.
 * @throws TypeError when the URL is not one of a mail server
 */
export function createMailer({ smtpUrl, from, timeouts = {} }: MailerOptions): Mailer {
  const { connectMs = 30_000, answerMs = 80_000 } = timeouts
  const address = parseSmtpUrl(smtpUrl)
  if (!address) throw new TypeError('The URL of the mail server is not valid')
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
    // Its lines would name the recipients.
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  return {
    async send({ to, language, ...email }, signal) {
      const either = AbortSignal.any([signal, closing.signal])
      either.throwIfAborted()
      // nodemailer would take an address written as two, or as a command, for just that.
      if (!isMailAddress(to.address)) {
        return { kind: 'refused', code: 'recipient_invalid', smtpStatus: null }
      }
      try {
        await transport.sendMail({
          ...email,
          from,
          to,
          headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
          // The X-Mailer header would tell a library's version.
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

/** Demands TLS where a password is sent over a network: somebody between could hide that the server offers STARTTLS. */
function needsTls({ isSecure, auth, host }: SmtpAddress): boolean {
  return !isSecure && auth !== null && !/^(localhost|127\.[\d.]+|::1)$/.test(host)
}
