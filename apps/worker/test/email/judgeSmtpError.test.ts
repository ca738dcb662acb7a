import type { NodemailerError } from 'nodemailer'
import { describe, expect, it } from 'vitest'
import { judgeSmtpError } from '../../src/email/judgeSmtpError.ts'

function reply(response: string, command: string, code = 'EENVELOPE'): NodemailerError {
  const responseCode = Number(response.slice(0, 3))
  return Object.assign(new Error(response), { code, command, response, responseCode })
}

describe('for good', () => {
  it.each([
    ['550 5.1.1 No such user', 'RCPT TO'],
    ['501 Bad address', 'RCPT TO'],
    ['551 User not local', 'RCPT TO'],
    ['553 5.1.3 Bad address', 'RCPT TO'],
    ['556 5.1.10 No mail here', 'RCPT TO'],
    ['550 5.7.1 Not you', 'MAIL FROM'],
    ['552 5.3.4 Too large', 'MAIL FROM'],
    ['552 5.3.4 Too large', 'DATA'],
    ['554 5.6.0 Bad content', 'DATA'],
  ])('%s to %s', (response, command) => {
    expect(judgeSmtpError(reply(response, command))).toMatchObject({
      kind: 'refused',
      code: 'smtp_refused',
    })
  })
})

describe('for now', () => {
  it.each([
    ['421 4.3.2 Closing', 'RCPT TO'],
    ['450 4.2.0 Greylisted', 'RCPT TO'],
    ['451 4.7.1 Later', 'DATA'],
    ['552 5.2.2 Full', 'RCPT TO'],
    ['503 5.5.1 Out of order', 'DATA'],
    ['521 5.3.2 No mail here', 'MAIL FROM'],
    ['530 5.7.0 Log in', 'MAIL FROM'],
    ['535 5.7.8 Wrong', 'MAIL FROM'],
    // A refusal of the connection is not one of the message.
    ['554 5.7.1 Blocked', 'CONN'],
    ['550 Go away', 'EHLO'],
    ['554 No TLS', 'STARTTLS'],
    ['535 5.7.8 Wrong', 'AUTH PLAIN'],
  ])('%s to %s', (response, command) => {
    expect(judgeSmtpError(reply(response, command))).toMatchObject({ kind: 'unavailable' })
  })
})

describe('the status', () => {
  it.each([
    ['550 5.1.1 <buyer@example.com> unknown', '550 5.1.1'],
    ['550-5.1.1 <buyer@example.com>\n550 5.1.1 unknown', '550 5.1.1'],
    ['550 buyer@example.com unknown', '550'],
    ['550 5.1.1.1 unknown', '550'],
    ['550 5.1.1buyer', '550'],
    ['550', '550'],
    ['buyer@example.com', null],
  ])('of %j is %j', (response, smtpStatus) => {
    expect(judgeSmtpError(reply(response, 'RCPT TO')).smtpStatus).toBe(smtpStatus)
  })
})
