import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { HostLogger } from '@roundsman/engine'
import { containedLog } from '@roundsman/engine/internal'
import type { Authorize } from './access.ts'
import { createAdmin, openUnlessAway } from './createAdmin.ts'
import { fromNode, toReadable } from './fromNode.ts'
import { logOf } from './logOf.ts'
import type { AdminOptions } from './options.ts'

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
    const { url = '/' } = request
    // Express and its like take the mount path off `url`.
    const { originalUrl: target = url } = request as { originalUrl?: string }
    if (next && !admin.owns(target)) return next()
    void answer(request, response, target)
  }
  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
  ): Promise<void> {
    const id = randomUUID()
    const { status, headers, body } = await admin.answer({
      ...fromNode(request, response),
      body: readBody(request),
      target,
      id,
      log: logOf(log, id),
      ask: () => authorize(request as Asking),
    })
    response.writeHead(status, headers)
    // It fails when the client leaves, or was disconnected: there is nobody to tell.
    if (body instanceof ReadableStream)
      await pipeline(toReadable(body), response).catch(() => undefined)
    else response.end(body)
  }
  return Object.assign(handle, { ready, close: admin.close })
}

/** The body as it came, or, when the host has read it already, what the host made of it. */
function readBody(request: IncomingMessage): AsyncIterable<Uint8Array> {
  const { body } = request as { body?: unknown }
  // An iterator that ended the request would take the connection, and with it the answer.
  if (body === undefined || !request.readableEnded)
    return request.iterator({ destroyOnReturn: false })
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  return Readable.from([Buffer.from(text)])
}
