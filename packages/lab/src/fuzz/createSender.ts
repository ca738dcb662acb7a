import { Agent, request as open, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'

/** A request as it is sent. */
export interface WireRequest {
  method: string
  target: string
  headers: readonly (readonly [name: string, value: string])[]
  body: Buffer | undefined
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

/** An answer, or in words why none came. */
export type Outcome = { answer: Answer; elapsedMs: number } | { failure: string; elapsedMs: number }

/** Far more than any request takes, even on a busy machine. */
const TIMEOUT_MS = 30_000
/** In bytes: more than a connection's buffers take at once. */
const LARGE_BODY = 1_000_000

export interface Sender {
  send(request: WireRequest): Promise<Outcome>
  /** Sends bytes over a connection of its own and closes its sending half. Resolves to all that came back. */
  sendBytes(bytes: Buffer): Promise<{ received: Buffer; isTimedOut: boolean }>
  close(): void
}

export function createSender(baseUrl: string, { concurrency }: { concurrency: number }): Sender {
  const { hostname, port } = new URL(baseUrl)
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })

  async function send(request: WireRequest): Promise<Outcome> {
    const clock = { startedAt: performance.now() }
    const outcome = await attempt(request, clock)
    return { ...outcome, elapsedMs: performance.now() - clock.startedAt }
  }

  function attempt(
    { method, target, headers, body }: WireRequest,
    clock: { startedAt: number; isRepeated?: boolean },
  ): Promise<{ answer: Answer } | { failure: string }> {
    return new Promise((resolve) => {
      const names = new Set(headers.map(([name]) => name))
      const all: (readonly [string, string])[] = [...headers]
      if (!names.has('host')) all.unshift(['host', `${hostname}:${port}`])
      // Without it Node would send the request in chunks, as no client does without a body.
      if (body || !['GET', 'HEAD'].includes(method)) {
        all.push(['content-length', String(body?.length ?? 0)])
      }
      const sent = open({
        hostname,
        port,
        // The repetition gets a connection of its own: another idle one may be closed, too.
        agent: clock.isRepeated === true ? false : agent,
        method,
        path: target,
        headers: all.flat(),
        setHost: false,
      })
      let timer: NodeJS.Timeout | undefined
      // Counted from its connection on: before that it waits for our own limit.
      sent.on('socket', () => {
        clock.startedAt = performance.now()
        timer = setTimeout(() => {
          finish({ failure: `no answer within ${TIMEOUT_MS / 1_000} s` })
          sent.destroy()
        }, TIMEOUT_MS)
      })
      const finish = (result: { answer: Answer } | { failure: string }) => {
        clearTimeout(timer)
        resolve(result)
      }
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        const answer = (): { answer: Answer } => ({
          answer: {
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          },
        })
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          // A stream of events never ends: all one can wait for is that it begins.
          if (response.headers['content-type']?.startsWith('text/event-stream') !== true) return
          finish(answer())
          sent.destroy()
        })
        response.on('end', () => finish(answer()))
        response.on('error', (error) =>
          finish({ failure: `the answer broke off: ${error.message}` }),
        )
      })
      sent.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        // The server may close an idle connection the moment it is used again; and where it refuses a large body, it answers
        // and closes while the rest is being sent, so that the answer can be lost.
        const mayBeClosed = sent.reusedSocket || (body?.length ?? 0) > LARGE_BODY
        const isClosed = mayBeClosed && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')
        if (isClosed && clock.isRepeated !== true) {
          clock.isRepeated = true
          resolve(attempt({ method, target, headers, body }, clock))
        } else resolve({ failure: `the connection broke: ${error.code ?? error.message}` })
      })
      sent.end(body)
    })
  }

  function sendBytes(bytes: Buffer): Promise<{ received: Buffer; isTimedOut: boolean }> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = []
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
      let isTimedOut = false
      const timer = setTimeout(() => {
        isTimedOut = true
        socket.destroy()
      }, TIMEOUT_MS)
      socket.on('connect', () => socket.end(bytes))
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => socket.destroy())
      // A reset after the answer is the server's way of not reading the rest.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        clearTimeout(timer)
        resolve({ received: Buffer.concat(chunks), isTimedOut })
      })
    })
  }

  return { send, sendBytes, close: () => agent.destroy() }
}

const MAX_SHOWN = 2_000

/** A command line that sends the request again. Tokens are left out: a report must not contain them. */
export function toCurl({ method, target, headers, body }: WireRequest): string {
  const parts = ['curl', '-i', '-X', method, '--path-as-is', quote(`$BASE_URL${target}`)]
  for (const [name, value] of headers) {
    const shown = value
      .replace(/^Bearer \S+\.\S+\.\S{20,}$/, 'Bearer $TOKEN')
      .replace(/(?<=roundsman_session=)\S+\.\S+\.\S{20,}/, '$SESSION')
    parts.push('-H', quote(`${name}: ${shorten(shown)}`))
  }
  if (body) parts.push('--data-binary', quote(shorten(body.toString())))
  return parts.join(' ')
}

/** Quotes for the shell, but leaves a variable in front for it to fill in. */
function quote(text: string): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"')
    .replaceAll("'", String.raw`\'`)
  const [, variable, rest] = /^(.*\$(?:BASE_URL|TOKEN|SESSION))(.*)$/s.exec(escaped) ?? []
  if (variable === undefined) return `$'${escaped}'`
  return `"${variable}"${rest === '' ? '' : `$'${rest}'`}`
}

function shorten(text: string): string {
  return text.length <= MAX_SHOWN
    ? text
    : `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)`
}
