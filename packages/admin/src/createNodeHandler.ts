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
import { checkHandlerOptions, type AdminOptions } from './options.ts'
import type { RouteLog } from './route.ts'

export interface NodeHandlerOptions<
  Asking extends IncomingMessage = IncomingMessage,
> extends AdminOptions {
  /**
   * Returns the user of a request and their rights. It gets the server's own request, such as Express's, with the user that the
   * host's log-in has added.
   */
  authorize: Authorize<Asking>
  /** The path at which the server mounts the handler, such as `/admin`. Default: the root. */
  basePath?: string
  /** Default: nothing is logged. */
  log?: Pick<HostLogger, 'warn' | 'error'>
}

export interface NodeHandler {
  /**
   * Passes requests outside of its API and console on to `next`, or answers 404 without one. With `consolePath: '/'`, all
   * requests below `basePath` are its own.
   */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void
  /**
   * Resolves once the client is started, or the database was away: then a later request starts it. Rejects if the tables are
   * missing or of another version.
   */
  readonly ready: Promise<void>
  /** Ends the streams of events, and the measurement of the queue. */
  close(): Promise<void>
}

/**
 * Admin API and console for node:http and frameworks on it: `app.use(createNodeHandler({ … }))`.
 * @throws ArgumentError which names the option
 */
export function createNodeHandler<Asking extends IncomingMessage = IncomingMessage>(
  options: NodeHandlerOptions<Asking>,
): NodeHandler {
  const { log: hostLog, ...others } = checkHandlerOptions(options)
  const authorize = others.authorize as Authorize<Asking>
  const log = hostLog && containedLog(hostLog)
  const admin = createAdmin(others)
  const ready = openUnlessAway(admin, log)
  // A caller that awaits `ready` gets the error, and each request tries again. Without this handler, the rejection would end
  // the process.
  ready.catch(() => undefined)

  const handle = (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void => {
    if (next && !isOurs(request)) return next()
    void answer(request, response)
  }
  /** Whether the request is below API or console. An unreadable request gets its answer here. */
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
      // The host may have refused the request, and still passed it on.
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
      if (!(error instanceof HostHasAnswered)) await sendBroken(response, broken)
    }
  }
  return Object.assign(handle, { ready, close: admin.close })
}

class HostHasAnswered extends Error {
  override readonly message = 'The host has sent an answer of its own to this request'
}

/** Express and the like remove the mount path from `url`. */
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
  // Without a listener, an error of a closed response would end the process.
  response.on('error', () => undefined)
  const { body } = answer
  try {
    if (response.headersSent) throw new HostHasAnswered()
    await writeHead(response, answer)
  } catch (error) {
    if (body instanceof ReadableStream) await body.cancel().catch(() => undefined)
    throw error
  }
  if (!(body instanceof ReadableStream)) return void (await settled(() => response.end(body)))
  const writable = toWritable(response)
  try {
    await pipeline(toReadable(body), writable, { signal })
  } catch (error) {
    if (!signal.aborted) log.warn({ err: error }, 'an answer ended early')
    response.destroy()
  }
}

/**
 * Not the response itself: an error of a host's wrapper in an event would be unhandled. Wrappers take no callbacks, like those
 * of express-session and compression: the events of the response show when to continue.
 */
function toWritable(response: ServerResponse): Writable {
  let wake = (): void => undefined
  const onDrain = () => wake()
  const writable = new Writable({
    write: (part: Uint8Array, _encoding, done) => void callBack(() => write(part), done),
    final: (done) => void callBack(end, done),
  })
  async function end(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    response.once('finish', resolve)
    await settled(() => response.end())
    await promise
  }
  async function write(part: Uint8Array): Promise<void> {
    const drained = new Promise<void>((resolve) => (wake = resolve))
    const taken = await settled(() => response.write(part))
    // A wrapper that compresses collects output until it is flushed.
    await settled(() => (response as { flush?(): unknown }).flush?.())
    // Some wrappers return nothing.
    if (taken === false || (taken !== true && response.writableNeedDrain)) await drained
  }
  response.on('drain', onDrain)
  // The wrapper of compression listens to its own stream instead.
  response.addListener('drain', onDrain)
  response.on('error', (error) => writable.destroy(error))
  return writable
}

async function callBack(
  act: () => Promise<void>,
  done: (error?: Error | null) => void,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    return done(error as Error)
  }
  done()
}

/** Runs an action of a host's wrapper, which may be async, and handles its error. */
async function settled(act: () => unknown): Promise<unknown> {
  return await act()
}

function writeHead(response: ServerResponse, answer: Answer): Promise<unknown> {
  return settled(() =>
    response.writeHead(
      answer.status,
      securedHeaders(answer, (name) => response.hasHeader(name)),
    ),
  )
}

/** Disconnects a client to which no answer can be sent. Never throws. */
async function sendBroken(response: ServerResponse, answer: Answer): Promise<void> {
  try {
    if (response.headersSent) return void response.destroy()
    await writeHead(response, answer)
    await settled(() => response.end(answer.body))
  } catch {
    try {
      response.destroy()
    } catch {
      // Every method of the host's wrapper fails.
    }
  }
}

/** The raw body or, if the host has already read it, the host's parsed value. */
async function* readBody(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const { body } = request as { body?: unknown }
  if (body !== undefined && request.readableEnded) {
    const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    yield Buffer.from(text)
    return
  }
  // An iterator that ended the request would close the connection, and with it the answer.
  yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
}
