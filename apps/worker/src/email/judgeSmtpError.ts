import type { NodemailerError } from 'nodemailer'

/** Why a message was not sent. No part comes from a server's text, which often quotes the address. */
export type SmtpFailure =
  /** For good: the server would refuse the same message again. */
  | { kind: 'refused'; code: string; smtpStatus: string | null }
  /** Another attempt can help. */
  | { kind: 'unavailable'; reason: string; smtpStatus: string | null; smtpError: string | null }

/** The commands about one message. A refusal of an earlier one is about the server and us. */
const OF_THE_MESSAGE = new Set(['MAIL FROM', 'RCPT TO', 'DATA'])

/**
 * 5xx replies about the session: commands out of order (RFC 5321, 4.2.2), a host that takes no mail (RFC 7504), a
 * missing log-in (RFC 4954). Once somebody sets that right, the message passes.
 */
const OF_THE_SESSION = new Set([503, 521, 530, 534, 535, 538])

/** Judges a failed attempt by RFC 5321: whether the same message can still be sent later. */
export function judgeSmtpError(error: NodemailerError): SmtpFailure {
  const { code, command = '', responseCode, response = '' } = error
  const smtpStatus = readStatus(response)
  if (code === 'EENVELOPE' && responseCode === undefined) {
    return { kind: 'refused', code: 'recipient_invalid', smtpStatus }
  }
  if (OF_THE_MESSAGE.has(command) && isPermanent(command, responseCode ?? 0)) {
    return { kind: 'refused', code: 'smtp_refused', smtpStatus }
  }
  return {
    kind: 'unavailable',
    reason: explain(error),
    smtpStatus,
    smtpError: error.originalCode ?? code ?? error.name,
  }
}

function isPermanent(command: string, responseCode: number): boolean {
  if (responseCode < 500 || responseCode > 599 || OF_THE_SESSION.has(responseCode)) return false
  // RFC 5321, 4.5.3.1.10: as an answer to RCPT, 552 means 452, a mailbox that is full for now.
  return !(command === 'RCPT TO' && responseCode === 552)
}

function explain({ code, responseCode }: NodemailerError): string {
  if (code === 'EAUTH' || code === 'ENOAUTH') return 'The mail server refuses the log-in'
  if (code === 'ETLS') return 'The connection to the mail server could not be encrypted'
  if (code === 'ETIMEDOUT') return 'The mail server did not answer in time'
  if (responseCode !== undefined && OF_THE_SESSION.has(responseCode)) {
    return 'The mail server refuses mail from this sender or host: check SMTP_URL, MAIL_FROM and the settings of the server'
  }
  if (responseCode !== undefined) return 'The mail server takes no mail for now'
  return 'The connection to the mail server failed'
}

/** The reply's code and, if the server gives one, its enhanced status: `550 5.1.1`. */
function readStatus(response: string): string | null {
  const [, reply, enhanced] = /^(\d{3})(?:[ -](\d\.\d{1,3}\.\d{1,3})(?=\s|$))?/.exec(response) ?? []
  if (reply === undefined) return null
  return enhanced === undefined ? reply : `${reply} ${enhanced}`
}
