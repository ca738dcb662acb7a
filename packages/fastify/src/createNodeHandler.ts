import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { HostLogger } from '@roundsman/engine'
import Fastify, { type FastifyBaseLogger, type RequestPayload } from 'fastify'
import type { Authorize } from './access.ts'
import { sendProblem } from './http/answerError.ts'
import { Problem } from './http/problem.ts'
import { asPrefix, checkOptions, roundsman, type RoundsmanOptions } from './roundsman.ts'

export interface NodeHandlerOptions<Request extends IncomingMessage = IncomingMessage> extends Omit<
  RoundsmanOptions,
  'authorize' | 'security' | 'describedAs'
> {
  /** Asked with the server's own request, such as Express's, on which the host's log-in has left who it is. */
  authorize: Authorize<Request>
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
  /** Resolves once it answers; earlier requests wait for it. Rejects when it never will. */
  readonly ready: Promise<void>
  /** Ends the streams of events. */
  close(): Promise<void>
}

/**
 * Admin API and console for node:http and frameworks on it: `app.use(createNodeHandler({ … }))`.
 * @throws ArgumentError which names the option
 * @throws TypeError when the client is of another version
 */
export function createNodeHandler<Request extends IncomingMessage = IncomingMessage>(
  options: NodeHandlerOptions<Request>,
): NodeHandler {
  const { authorize, basePath = '', log, ...others } = options
  const { apiPrefix = '/api', consolePath = '/console' } = others
  checkOptions({ ...others, authorize, basePath })
  const base = asPrefix(basePath)
  const app = Fastify({
    ...(log && { loggerInstance: toFastifyLogger(log) }),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    return503OnClosing: false,
  })
  app.addHook('preParsing', async ({ raw }, _reply, payload) => unread(raw, payload))
  app.setNotFoundHandler((_request, reply) => {
    sendProblem(reply, new Problem(404, { detail: 'There is nothing at this address' }))
  })
  app.register(roundsman, {
    ...others,
    prefix: base,
    authorize: ({ raw }) => authorize(raw as Request),
  })
  const ready = Promise.resolve(app.ready()).then(() => undefined)
  // Whoever awaits `ready` gets the error, and so does each request: without this the process would end.
  ready.catch(() => undefined)

  const api = asPrefix(apiPrefix)
  const ours = [`${api}/jobs`, `${api}/console`, consolePath]
    .filter((path) => path !== null)
    .map((path) => base + asPrefix(path))
  const handle = (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void => {
    const { url = '/' } = request
    // Express and its like take the mount path off `url`.
    const { originalUrl = url } = request as { originalUrl?: string }
    const [path = ''] = originalUrl.split('?')
    if (next && !ours.some((one) => path === one || path.startsWith(`${one}/`))) return next()
    void answer(request, response, { originalUrl, next })
  }
  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    { originalUrl, next }: { originalUrl: string; next: ((error: unknown) => void) | undefined },
  ): Promise<void> => {
    try {
      await ready
    } catch (error) {
      if (next) next(error)
      else response.writeHead(500).end()
      return
    }
    request.url = originalUrl
    app.routing(request, response)
  }
  return Object.assign(handle, { ready, close: () => app.close() })
}

/** Longer than any name or id in a path. */
const MAX_PARAM_LENGTH = 512

/** The body as it came, or, when the host has read it already, what the host made of it. */
function unread(request: IncomingMessage, payload: RequestPayload): RequestPayload {
  const { body } = request as { body?: unknown }
  if (body === undefined || !request.readableEnded) return payload
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  // Fastify compares the length with the request's header, which may differ from that of the new text.
  const receivedEncodedLength = Number(request.headers['content-length'] ?? 0)
  return Object.assign(Readable.from([Buffer.from(text)]), { receivedEncodedLength })
}

function toFastifyLogger(log: Pick<HostLogger, 'warn' | 'error'>): FastifyBaseLogger {
  const silent = () => undefined
  const logger: FastifyBaseLogger = {
    level: 'warn',
    fatal: (fields: object, message?: string) => log.error(fields, message),
    error: (fields: object, message?: string) => log.error(fields, message),
    warn: (fields: object, message?: string) => log.warn(fields, message),
    info: silent,
    debug: silent,
    trace: silent,
    silent,
    child: () => logger,
  }
  return logger
}
