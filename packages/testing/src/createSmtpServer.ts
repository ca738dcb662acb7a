import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { ParsedMail } from 'mailparser'
import type { SMTPServerSession } from 'smtp-server'
import { localhostCertificate } from './localhostCertificate.ts'

/** A mail server that keeps what it gets, and answers as it is told. */
export interface SmtpServer {
  port: number
  url: string
  /** What it has taken, in the order in which it came; also where the client never heard of it. */
  messages: ReceivedMessage[]
  /** Connections so far. */
  connections: number
  /** Connections that there are. */
  open: number
  /** From now on it reacts like this; without an argument it accepts everything. */
  react(decide?: (moment: SmtpMoment) => SmtpReaction | undefined): void
  /** Open connections are ended. */
  close(): Promise<void>
}

export interface ReceivedMessage {
  /** The envelope. */
  sender: string
  recipients: string[]
  /** By this machine's clock, when the last byte had come. */
  receivedAtMs: number
  raw: Buffer
  mail: ParsedMail
  /** Whether the client was told so. */
  isAcknowledged: boolean
}

export interface SmtpMoment {
  /** `data`: the whole message has come, and its client waits for the answer. */
  stage: 'connect' | 'mail' | 'rcpt' | 'data'
  sender: string
  /** The one that RCPT names; the first one at `data`. */
  recipient: string
  /** Only at `data`. */
  mail?: ParsedMail
}

export type SmtpReaction = {
  /** Before anything else. Default 0. */
  delayMs?: number
} & (
  | { kind: 'accept' }
  | { kind: 'refuse'; code: number; text?: string }
  /** Ends the connection instead of an answer. A message is not kept. */
  | { kind: 'drop' }
  /** Keeps the message, and ends the connection instead of saying so. */
  | { kind: 'keepAndDrop' }
  /** Keeps the message, and says nothing. */
  | { kind: 'keepAndHang' }
  /** Says nothing. A message is not kept. */
  | { kind: 'hang' }
)

export interface CreateSmtpServerOptions {
  /** Default: any that is free. */
  port?: number
  /** `starttls` offers it, `implicit` speaks nothing else. Default: no TLS. */
  tls?: 'starttls' | 'implicit'
  /** Who may send. Default: everybody, and nobody can log in. */
  auth?: { user: string; pass: string }
}

type Answer = (error?: Error | null) => void

export async function createSmtpServer(options: CreateSmtpServerOptions = {}): Promise<SmtpServer> {
  const { port = 0, tls, auth } = options
  // Most files that load this one send no mail.
  const { SMTPServer } = await import('smtp-server')
  const { simpleParser } = await import('mailparser')
  const messages: ReceivedMessage[] = []
  let open = 0
  let decide: (moment: SmtpMoment) => SmtpReaction | undefined = () => undefined
  let connections = 0

  const server = new SMTPServer({
    secure: tls === 'implicit',
    ...(tls && localhostCertificate),
    disabledCommands: [...(tls === 'starttls' ? [] : ['STARTTLS']), ...(auth ? [] : ['AUTH'])],
    allowInsecureAuth: true,
    // The texts that tests give bring their own.
    hideENHANCEDSTATUSCODES: true,
    disableReverseLookup: true,
    logger: false,
    // Whoever is to be left waiting waits longer than any test.
    socketTimeout: 600_000,
    onAuth({ username, password }, _session, answer) {
      if (username === auth?.user && password === auth?.pass) answer(null, { user: username })
      else answer(null, { message: '5.7.8 Credentials invalid', responseCode: 535 })
    },
    onConnect: (session, answer) => meet('connect', session, '', answer),
    onMailFrom: ({ address }, session, answer) => meet('mail', session, address, answer),
    onRcptTo: ({ address }, session, answer) => meet('rcpt', session, address, answer),
    onData: (stream, session, answer) => {
      void buffer(stream).then((raw) => take(raw, session, answer), answer)
    },
  })
  // A client that goes away in the middle is what some tests are about.
  server.on('error', () => undefined)
  server.server.on('connection', (socket: Socket) => {
    connections++
    open++
    socket.on('close', () => open--)
  })
  server.listen(port, '127.0.0.1')
  await once(server.server, 'listening')
  const bound = (server.server.address() as AddressInfo).port

  function meet(
    stage: 'connect' | 'mail' | 'rcpt',
    session: SMTPServerSession,
    address: string,
    answer: Answer,
  ): void {
    const { mailFrom } = session.envelope
    carryOut(
      decide({
        stage,
        sender: stage === 'mail' ? address : mailFrom ? mailFrom.address : '',
        recipient: stage === 'rcpt' ? address : '',
      }),
      session,
      answer,
    )
  }

  async function take(raw: Buffer, session: SMTPServerSession, answer: Answer): Promise<void> {
    const receivedAtMs = Date.now()
    const mail = await simpleParser(raw)
    const { mailFrom, rcptTo } = session.envelope
    const sender = mailFrom ? mailFrom.address : ''
    const recipients = rcptTo.map(({ address }) => address)
    const recipient = recipients[0] ?? ''
    carryOut(
      decide({ stage: 'data', sender, recipient, mail }),
      session,
      answer,
      (isAcknowledged) => {
        messages.push({ sender, recipients, receivedAtMs, raw, mail, isAcknowledged })
      },
    )
  }

  function carryOut(
    reaction: SmtpReaction = { kind: 'accept' },
    session: SMTPServerSession,
    answer: Answer,
    keep: (isAcknowledged: boolean) => void = () => undefined,
  ): void {
    const { delayMs = 0, ...later } = reaction
    if (delayMs > 0) {
      setTimeout(() => carryOut(later, session, answer, keep), delayMs)
      return
    }
    const socket = socketOf(session)
    switch (reaction.kind) {
      case 'accept':
        keep(socket !== undefined && !socket.destroyed)
        return answer()
      case 'refuse': {
        const { code, text = 'Refused' } = reaction
        return answer(Object.assign(new Error(text), { responseCode: code }))
      }
      case 'drop':
        socket?.destroy()
        return
      case 'keepAndDrop':
        keep(false)
        socket?.destroy()
        return
      case 'keepAndHang':
        return keep(false)
      case 'hang':
        return
      default:
        reaction satisfies never
    }
  }

  /** The topmost: to end what TLS stands on, in the middle of a handshake, ends Node. */
  function socketOf(session: SMTPServerSession): Socket | undefined {
    return [...server.connections].find((connection) => connection.session === session)?._socket
  }

  return {
    port: bound,
    url: `${tls === 'implicit' ? 'smtps' : 'smtp'}://127.0.0.1:${bound}`,
    messages,
    get connections() {
      return connections
    },
    get open() {
      return open
    },
    react(next = () => undefined) {
      decide = next
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const { _socket: socket } of server.connections) socket.destroy()
      await closed
    },
  }
}
