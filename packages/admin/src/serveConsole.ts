import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { hostname, userInfo } from 'node:os'
import type { HostLogger, Job } from '@roundsman/engine'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { containedLog } from '@roundsman/engine/internal'
import { createNodeHandler } from './createNodeHandler.ts'
import { SECURITY_HEADERS } from './http/answer.ts'
import { Problem } from './http/problem.ts'
import { checkConsoleOptions, refuseToListen } from './options.ts'

export interface ServeConsoleOptions {
  /** A started client, or the database and schema for a new one. */
  client?: JobsClient
  databaseUrl?: string
  schema?: string
  jobs: readonly Job[]
  /** The address to listen on, never empty. Default: 127.0.0.1, which only this machine reaches. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** The name that is recorded with each act. Default: the user of this process, such as `ada@laptop`. */
  actor?: string
  log?: Pick<HostLogger, 'warn' | 'error'>
  /** The folder of the console's build. Default: in this package. */
  consoleDir?: string
}

export interface ServedConsole {
  /** Works once: the browser that opens it first may see and do everything until the console is closed. */
  link: string
  /** Without a slash at the end. */
  url: string
  close(): Promise<void>
}

/**
 * Serves console and admin API on a port of this machine, to the person who has the link. Other web pages are refused, and so
 * are other names of this machine: a browser needs the cookie of the link, and must call the server by its address.
 * @throws ArgumentError if it cannot listen on `host` or `port`
 */
export async function serveConsole(options: ServeConsoleOptions): Promise<ServedConsole> {
  const given = checkConsoleOptions(options)
  const { jobs, host = '127.0.0.1', port = 0, actor = nameOfUser(), consoleDir } = given
  const log = given.log && containedLog(given.log)
  const own = given.client === undefined ? await openClient(given) : null
  const client = given.client ?? (own as JobsClient)
  const secret = randomBytes(32).toString('base64url')
  let key: string | null = randomBytes(32).toString('base64url')

  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening').catch(async (error: unknown) => {
    await own?.stop()
    const { code = '' } = error as NodeJS.ErrnoException
    throw refuseToListen(OF_PORT.has(code) ? 'port' : 'host', error)
  })
  const bound = server.address() as AddressInfo
  // The port is part of the name, since all ports of a host share cookies.
  const cookie = `roundsman_console_${bound.port}`
  const names = new Set(
    [host, bound.address, ...LOOPBACK].flatMap((name) => [...authoritiesOf(name, bound.port)]),
  )

  const handle = createNodeHandler({
    client,
    jobs,
    consoleDir,
    ...(log && { log }),
    authorize(request) {
      if (!isEqual(readCookie(request, cookie), secret)) {
        throw new Problem(401, {
          detail:
            'You are not logged in: open the link that roundsman console printed. It works once; run the command again for a new one',
        })
      }
      // The person who started it can read the database in any case.
      return { actor, view: true, act: true, payloads: true }
    },
  })
  await handle.ready

  server.on('request', (request, response) => {
    // An unhandled error would end the process, and any page can send any request.
    response.on('error', () => undefined)
    try {
      answer(request, response)
    } catch (error) {
      log?.error({ err: error }, 'request failed')
      response.destroy()
    }
  })

  function answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
    // A foreign site whose name points to this machine sends that name.
    if (!names.has(request.headers.host?.toLowerCase() ?? '')) {
      response
        .writeHead(421, { 'content-type': 'text/plain' })
        .end(
          'Nothing is served under this host name: use the link that roundsman console printed\n',
        )
      return
    }
    const address = URL.parse(request.url ?? '/', 'http://console')
    if (address === null) {
      response
        .writeHead(400, { 'content-type': 'text/plain' })
        .end('The server cannot read this address\n')
      return
    }
    const { pathname, searchParams } = address
    if (pathname === '/') {
      response.writeHead(303, { location: '/console' }).end()
      return
    }
    if (pathname !== OPEN_PATH || request.method !== 'GET') {
      handle(request, response)
      return
    }
    if (key !== null && isEqual(searchParams.get('key') ?? undefined, key)) {
      key = null
      response.setHeader('set-cookie', `${cookie}=${secret}; Path=/; HttpOnly; SameSite=Strict`)
    }
    response.writeHead(303, { location: '/console' }).end()
  }

  const url = `http://${toAuthority(LOOPBACK.includes(bound.address) ? bound.address : host, bound.port)}`
  return {
    link: `${url}${OPEN_PATH}?key=${key}`,
    url,
    async close() {
      const closed = once(server, 'close')
      server.close()
      await handle.close()
      server.closeAllConnections()
      await closed
      await own?.stop()
    },
  }
}

const OPEN_PATH = '/open'
/** Errors of listening that another port may solve. */
const OF_PORT: ReadonlySet<string> = new Set(['EADDRINUSE', 'EACCES'])
const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

async function openClient({
  databaseUrl = '',
  schema,
  log,
}: ReturnType<typeof checkConsoleOptions>): Promise<JobsClient> {
  const client = createJobsClient({ databaseUrl, schema, log })
  try {
    await client.start()
    return client
  } catch (error) {
    await client.stop()
    throw error
  }
}

/** The names of a server at this address in requests: as written, and as browsers write it. */
export function authoritiesOf(name: string, port: number): ReadonlySet<string> {
  const authority = toAuthority(name, port)
  return new Set([authority, URL.parse(`http://${authority}`)?.host ?? authority])
}

function toAuthority(name: string, port: number): string {
  return `${name.includes(':') ? `[${name}]` : name.toLowerCase()}:${port}`
}

function readCookie({ headers }: IncomingMessage, name: string): string | undefined {
  const cookies = (headers.cookie ?? '').split(';').map((one) => one.trim())
  return cookies.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1)
}

/** Takes the same time for any value. */
function isEqual(sent: string | undefined, expected: string): boolean {
  if (sent === undefined) return false
  const [one, other] = [sent, expected].map((text) => createHash('sha256').update(text).digest())
  return timingSafeEqual(one as Buffer, other as Buffer)
}

function nameOfUser(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // Accounts in containers may have no name.
    return `somebody@${hostname()}`
  }
}
