import { randomUUID } from 'node:crypto'
import type { HostLogger } from '@roundsman/engine'
import { containedLog } from '@roundsman/engine/internal'
import type { Authorize } from './access.ts'
import { createAdmin } from './createAdmin.ts'
import { answerBroken, securedHeaders, type Answer } from './http/answer.ts'
import { logOf } from './logOf.ts'
import { checkHandlerOptions, type AdminOptions } from './options.ts'

export interface FetchHandlerOptions<Context = undefined> extends AdminOptions {
  /** Returns the user of a request and their rights. The host does the log-in. */
  authorize: (request: Request, context: Context) => ReturnType<Authorize>
  /** The path below which the host routes all requests to the handler, such as `/admin/jobs`. Default: the root. */
  basePath?: string
  /** The console's path, below `basePath`; null for no console. Default `/`: the console is at `basePath` itself. */
  consolePath?: string | null
  /** Default: nothing is logged. */
  log?: Pick<HostLogger, 'warn' | 'error'>
}

export interface FetchHandler<Context = undefined> {
  /** Answers each request, and 404 for a path that is not its own. `context` goes to `authorize`. Never rejects. */
  (
    request: Request,
    ...context: Context extends undefined ? [unknown?] : [Context]
  ): Promise<Response>
  /** Ends the streams of events, and the measurement of the queue. */
  close(): Promise<void>
}

/**
 * Admin API and console for every framework that answers a `Request` with a `Response`, such as Next.js: one catch-all route
 * serves both. Its creation has no effect; the first request starts the client.
 * @throws ArgumentError which names the option
 */
export function createFetchHandler<Context = undefined>(
  options: FetchHandlerOptions<Context>,
): FetchHandler<Context> {
  const { log: hostLog, consolePath = '/', ...others } = checkHandlerOptions(options)
  const authorize = others.authorize as FetchHandlerOptions<Context>['authorize']
  const log = hostLog && containedLog(hostLog)
  const admin = createAdmin({ ...others, consolePath })
  const handle = async (request: Request, context?: unknown): Promise<Response> => {
    const id = randomUUID()
    const lines = logOf(log, id)
    try {
      const { method, headers, body, signal, url } = request
      const { pathname, search } = new URL(url)
      const answer = await admin.answer({
        method,
        headers,
        body,
        signal,
        target: pathname + search,
        id,
        log: lines,
        ask: () => authorize(request, context as Context),
      })
      return toResponse(answer)
    } catch (error) {
      return toResponse(answerBroken(error, { id, log: lines }))
    }
  }
  return Object.assign(handle, { close: admin.close })
}

function toResponse(answer: Answer): Response {
  return new Response(answer.body, { status: answer.status, headers: securedHeaders(answer) })
}
