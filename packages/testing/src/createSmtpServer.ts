import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { ParsedMail } from 'mailparser'
import type { SMTPServerSession } from 'smtp-server'
import { localhostCertificate } from './localhostCertificate.ts'

/** A mail server that keeps what it gets, and answers as a test tells it. */
export interface SmtpServer {
  port: number
  url: string
  /** What it has taken, in the order of arrival, also where the client was never told so. */
  messages: ReceivedMessage[]
  /** How many connections there were so far. */
  connections: number
  /** How many connections are open. */
  open: number
  /** From now on it answers as `decide` says. Without an argument it accepts everything. */
  react(decide?: (moment: SmtpMoment) => SmtpReaction | undefined): void
  /** Also ends open connections. */
  close(): Promise<void>
}

export interface ReceivedMessage {
  /** From the envelope, not the headers. */
  sender: string
  recipients: string[]
  /** By this machine's clock, when the last byte had come. */
  receivedAtMs: number
  raw: Buffer
  mail: ParsedMail
  /** Whether the client was told that it was taken. */
  isAcknowledged: boolean
}

export interface SmtpMoment {
  /** `data`: the whole message has come, and the client waits for the answer. */
  stage: 'connect' | 'mail' | 'rcpt' | 'data'
  sender: string
  /** The recipient that RCPT names; the first one at `data`. */
  recipient: string
  /** Only at `data`. */
  mail?: ParsedMail
}

export type SmtpReaction = {
  /** How long it waits before it does anything. Default 0. */
  delayMs?: number
} & (
  | { kind: 'accept' }
  | { kind: 'refuse'; code: number; text?: string }
  /** Ends the connection instead of answering. It does not keep a message. */
  | { kind: 'drop' }
  /** Keeps the message, and ends the connection instead of answering. */
  | { kind: 'keepAndDrop' }
  /** Keeps the message, and never answers. */
  | { kind: 'keepAndHang' }
  /** Never answers. It does not keep a message. */
  | { kind: 'hang' }
)

export interface CreateSmtpServerOptions {
  /** Default: any free port. */
  port?: number
  /** `starttls` offers TLS, `implicit` speaks nothing else. Default: no TLS. */
  tls?: 'starttls' | 'implicit'
  /** The account that may send. Default: everybody may, and nobody can log in. */
  auth?: { user: string; pass: string }
}

type Answer = (error?: Error | null) => void

export async function createSmtpServer(options: CreateSmtpServerOptions = {}): Promise<SmtpServer> {
  const { port = 0, tls, auth } = options
  // Loaded here: most files that load this module send no mail.
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
    // The tests' answers contain such codes already.
    hideENHANCEDSTATUSCODES: true,
    disableReverseLookup: true,
    logger: false,
    // A client that is to be left waiting waits longer than any test.
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
  // Some tests are about clients that leave half-way.
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

  /** The topmost socket: destroying the one below TLS in the middle of a handshake crashes Node. */
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
