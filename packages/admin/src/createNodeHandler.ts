import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { HostLogger } from '@roundsman/engine'
import { containedLog } from '@roundsman/engine/internal'
import type { Authorize } from './access.ts'
import { createAdmin, openUnlessAway } from './createAdmin.ts'
import { fromNode, toReadable } from './fromNode.ts'
import { answerBroken, securedHeaders, type Answer } from './http/answer.ts'
import { logOf } from './logOf.ts'
import type { AdminOptions } from './options.ts'
import type { RouteLog } from './route.ts'

export interface NodeHandlerOptions<
  Asking extends IncomingMessage = IncomingMessage,
> extends AdminOptions {
  /** Asked with the server's own request, such as Express's, on which the host's log-in has left who it is. */
  authorize: Authorize<Asking>
  /** The path at which the server mounts the handler, such as `/admin`. Default: the root. */
  basePath?: string
  /** Default: nothing is logged. */
  log?: Pick<HostLogger, 'warn' | 'error'>
}

export interface NodeHandler {
  /**
   * Passes requests that are not below its API and console on to `next`, or answers 404 without one. With `consolePath: '/'`
   * all that is below `basePath` is its own.
   */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void
  /**
   * Resolves once the client is started, or the database was away: then a later request starts it. Rejects when the tables
   * are missing or of another version.
   */
  readonly ready: Promise<void>
  /** Ends the streams of events, and what measures the queue. */
  close(): Promise<void>
}

/**
 * Admin API and console for node:http and frameworks on it: `app.use(createNodeHandler({ … }))`.
 * @throws ArgumentError which names the option
 * @throws TypeError when the client is of another version
 */
export function createNodeHandler<Asking extends IncomingMessage = IncomingMessage>(
  options: NodeHandlerOptions<Asking>,
): NodeHandler {
  const { authorize, log: hostLog, ...others } = options
  const log = hostLog && containedLog(hostLog)
  const admin = createAdmin({ ...others, authorize })
  const ready = openUnlessAway(admin, log)
  // Whoever awaits `ready` gets the error, and each request asks again: without this the process would end.
  ready.catch(() => undefined)

  const handle = (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void => {
    if (next && !isOurs(request)) return next()
    void answer(request, response)
  }
  /** A request that cannot be read gets its answer here. */
  function isOurs(request: IncomingMessage): boolean {
    try {
      return admin.owns(targetOf(request))
    } catch {
      return true
    }
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = randomUUID()
    const lines = logOf(log, id)
    try {
      // The host may have refused the request, and passed it on nevertheless.
      if (response.headersSent) throw new HostHasAnswered()
      const asked = fromNode(request, response)
      const answered = await admin.answer({
        ...asked,
        body: readBody(request),
        target: targetOf(request),
        id,
        log: lines,
        ask: () => authorize(request as Asking),
      })
      await send(response, answered, asked.signal, lines)
    } catch (error) {
      const broken = answerBroken(error, { id, log: lines })
      if (!(error instanceof HostHasAnswered)) sendBroken(response, broken)
    }
  }
  return Object.assign(handle, { ready, close: admin.close })
}

class HostHasAnswered extends Error {
  override readonly message = 'The host has sent an answer of its own to this request'
}

/** Express and its like take the mount path off `url`. */
function targetOf(request: IncomingMessage): string {
  const { url = '/' } = request
  const { originalUrl = url } = request as { originalUrl?: string }
  return originalUrl
}

async function send(
  response: ServerResponse,
  answer: Answer,
  signal: AbortSignal,
  log: RouteLog,
): Promise<void> {
  // Without a listener, an error of a response that is gone would end the process.
  response.on('error', () => undefined)
  const { body } = answer
  try {
    if (response.headersSent) throw new HostHasAnswered()
    writeHead(response, answer)
  } catch (error) {
    if (body instanceof ReadableStream) await body.cancel().catch(() => undefined)
    throw error
  }
  if (!(body instanceof ReadableStream)) return void response.end(body)
  // Not into the response itself: nobody would catch what a host's wrapper of it throws at an event.
  const writable = new Writable({
    write: (part, _encoding, done) => contain(done, () => response.write(part, done)),
    final: (done) => contain(done, () => response.end(done)),
  })
  try {
    await pipeline(toReadable(body), writable, { signal })
  } catch (error) {
    if (!signal.aborted) log.warn({ err: error }, 'an answer ended early')
    response.destroy()
  }
}

function contain(done: (error: Error) => void, write: () => unknown): void {
  try {
    write()
  } catch (error) {
    done(error as Error)
  }
}

function writeHead(response: ServerResponse, answer: Answer): ServerResponse {
  const headers = securedHeaders(answer, (name) => response.hasHeader(name))
  return response.writeHead(answer.status, headers)
}

/** Cuts off a client to which no answer can be sent. Never throws. */
function sendBroken(response: ServerResponse, answer: Answer): void {
  try {
    if (response.headersSent) response.destroy()
    else writeHead(response, answer).end(answer.body)
  } catch {
    try {
      response.destroy()
    } catch {
      // The host's wrapper of the response fails in all that it does.
    }
  }
}

/** The body as it came, or, when the host has read it already, what the host made of it. */
async function* readBody(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const { body } = request as { body?: unknown }
  if (body !== undefined && request.readableEnded) {
    const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    yield Buffer.from(text)
    return
  }
  // An iterator that ended the request would take the connection, and with it the answer.
  yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
}
