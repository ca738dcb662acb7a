import {
  createSmtpServer,
  waitFor,
  type CreateSmtpServerOptions,
  type SmtpServer,
} from '@roundsman/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createMailer,
  type MailerOptions,
  type OutgoingEmail,
} from '../../src/email/createMailer.ts'

const from = { name: 'Büro Größe & Co', address: 'billing@münchen.example' }

const email: OutgoingEmail = {
  to: { name: '株式会社サンプル', address: 'buyer@example.com' },
  messageId: '<one@roundsman.localhost>',
  date: new Date('2026-11-01T12:00:00Z'),
  language: 'en',
  subject: 'Invoice 1',
  text: 'Dear customer,\n.\n..\nFrom here on',
  html: '<p>Dear customer</p>',
  attachments: [],
}

async function openServer(options?: CreateSmtpServerOptions): Promise<SmtpServer> {
  const server = await createSmtpServer(options)
  onTestFinished(() => server.close())
  return server
}

function openMailer(options: Pick<MailerOptions, 'smtpUrl'> & Partial<MailerOptions>) {
  const mailer = createMailer({ from, ...options })
  onTestFinished(() => mailer.close())
  return mailer
}

const forEver = () => new AbortController().signal

describe('what arrives', () => {
  it('is what was sent, with names and domains of any script', async () => {
    const server = await openServer()
    const mailer = openMailer({ smtpUrl: server.url })

    expect(await mailer.send(email, forEver())).toEqual({ kind: 'sent' })

    const [{ mail, raw, sender, recipients }] = server.messages as [(typeof server.messages)[0]]
    // This server decodes it; on the way it is in ASCII, which every server understands.
    expect(sender).toBe('billing@münchen.example')
    expect(raw.toString()).toContain('<billing@xn--mnchen-3ya.example>')
    expect(recipients).toEqual(['buyer@example.com'])
    expect(mail.from?.value).toMatchObject([{ name: from.name }])
    expect(mail.to).toMatchObject({ value: [email.to] })
    expect(mail.messageId).toBe(email.messageId)
    expect(mail.date).toEqual(email.date)
    expect(mail.text?.trimEnd()).toBe(email.text)
    expect(mail.headers.get('auto-submitted')).toBe('auto-generated')
    expect(mail.headers.get('content-language')).toBe('en')
    expect(mail.headers.has('x-mailer')).toBe(false)
  })

  it.each(['buyer@münchen.example', 'käufer@example.com', 'مشتري@مثال.example'])(
    'also at %s',
    async (address) => {
      const server = await openServer()
      const mailer = openMailer({ smtpUrl: server.url })

      expect(await mailer.send({ ...email, to: { name: '', address } }, forEver())).toEqual({
        kind: 'sent',
      })

      expect(server.messages).toHaveLength(1)
      expect(server.messages[0]?.recipients).toHaveLength(1)
    },
  )

  it('has no header that a subject, a name or an id would add', async () => {
    const server = await openServer()
    const mailer = openMailer({ smtpUrl: server.url })
    const breaking = 'One\r\nBcc: evil@example.com\r\n\r\nTwo'

    const outcome = await mailer.send(
      {
        ...email,
        subject: breaking,
        to: { name: breaking, address: email.to.address },
        messageId: `<a@b>\r\nX-Evil: 1`,
      },
      forEver(),
    )

    expect(outcome).toEqual({ kind: 'sent' })
    const [{ mail, recipients }] = server.messages as [(typeof server.messages)[0]]
    expect(recipients).toEqual(['buyer@example.com'])
    expect(mail.headers.has('bcc')).toBe(false)
    expect(mail.headers.has('x-evil')).toBe(false)
    expect(mail.subject).toMatch(/^One Bcc: evil@example\.com +Two$/)
  })

  it.each(['a@example.com\r\nRCPT TO:<b@example.com>', 'a@example.com>,<b@example.com', ''])(
    'is nothing where the recipient is %j',
    async (address) => {
      const server = await openServer()
      const mailer = openMailer({ smtpUrl: server.url })

      const outcome = await mailer.send({ ...email, to: { name: '', address } }, forEver())

      expect(outcome).toMatchObject({ kind: 'refused', code: 'recipient_invalid' })
      expect(server.connections).toBe(0)
    },
  )
})

describe('the connection', () => {
  it('is a new one for each message, and none stays', async () => {
    const server = await openServer()
    const mailer = openMailer({ smtpUrl: server.url })

    await mailer.send(email, forEver())
    await mailer.send(email, forEver())

    expect(server.connections).toBe(2)
    await waitFor(() => server.open === 0)
  })

  it.each(['implicit', 'starttls'] as const)(
    'is not made, %s, with a certificate that nobody vouches for: that can be mended',
    async (tls) => {
      const server = await openServer({ tls })
      const mailer = openMailer({ smtpUrl: server.url })

      expect(await mailer.send(email, forEver())).toMatchObject({
        kind: 'unavailable',
        smtpStatus: null,
      })
      expect(server.messages).toEqual([])
    },
  )

  it('a wrong password can be mended', async () => {
    const server = await openServer({ auth: { user: 'worker', pass: 'right' } })
    const mailer = openMailer({ smtpUrl: server.url.replace('//', '//worker:wrong@') })

    expect(await mailer.send(email, forEver())).toEqual({
      kind: 'unavailable',
      reason: 'The mail server refuses the log-in',
      smtpStatus: '535 5.7.8',
      smtpError: 'EAUTH',
    })
  })

  it('no password where one is wanted can be mended', async () => {
    const server = await openServer({ auth: { user: 'worker', pass: 'right' } })
    const mailer = openMailer({ smtpUrl: server.url })

    expect(await mailer.send(email, forEver())).toMatchObject({
      kind: 'unavailable',
      reason:
        'The mail server refuses mail from this sender or host: check SMTP_URL, MAIL_FROM and the settings of the server',
      smtpStatus: '530',
    })
  })

  it('a name that nobody knows can be mended', async () => {
    const mailer = openMailer({ smtpUrl: 'smtp://mail.invalid' })

    expect(await mailer.send(email, forEver())).toMatchObject({
      kind: 'unavailable',
      reason: 'The connection to the mail server failed',
    })
  })
})

describe('an end before the answer', () => {
  it.each(['connect', 'rcpt', 'data'] as const)(
    'by the signal, while the server is silent at %s: the connection is ended',
    async (stage) => {
      const server = await openServer()
      const abort = new AbortController()
      const reason = new Error('enough')
      server.react((moment) => {
        if (moment.stage !== stage) return undefined
        abort.abort(reason)
        return { kind: 'hang' }
      })
      const mailer = openMailer({ smtpUrl: server.url })

      await expect(mailer.send(email, abort.signal)).rejects.toBe(reason)

      await waitFor(() => server.open === 0)
      expect(server.messages).toEqual([])
    },
  )

  it('by a signal that was aborted before: nothing is connected', async () => {
    const server = await openServer()
    const mailer = openMailer({ smtpUrl: server.url })

    await expect(mailer.send(email, AbortSignal.abort(new Error('late')))).rejects.toThrow('late')

    expect(server.connections).toBe(0)
  })

  it('by close', async () => {
    const server = await openServer()
    const mailer = openMailer({ smtpUrl: server.url })
    server.react(() => {
      mailer.close()
      return { kind: 'hang' }
    })

    await expect(mailer.send(email, forEver())).rejects.toThrow('The mailer is closed')

    await waitFor(() => server.open === 0)
  })
})
