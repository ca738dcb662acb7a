import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

/** How the monitor answers a ping. A number is the HTTP status. */
export type Reaction = number | 'hang' | 'reset' | 'endless'

export interface Monitor {
  /** The address of one check. */
  url: URL
  /** `POST /check/start?rid=… attempt 1`, in the order of arrival, whatever the answer was. */
  pings: string[]
  /** The same requests, with headers and body apart. */
  requests: { headers: IncomingHttpHeaders; body: string }[]
  react(reaction: Reaction | ((ping: number) => Reaction)): void
}

/** A monitor that takes pings over HTTP, and misbehaves where a test wants it to. It is closed with the test. */
export async function openMonitor(): Promise<Monitor> {
  const pings: string[] = []
  const requests: Monitor['requests'] = []
  let react: (ping: number) => Reaction = () => 200
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      requests.push({ headers: request.headers, body })
      pings.push(`${request.method} ${request.url} ${body}`)
      const reaction = react(pings.length)
      switch (reaction) {
        case 'hang':
          return
        case 'reset':
          return request.socket.resetAndDestroy()
        case 'endless': {
          response.writeHead(200)
          const writeWhileTaken = () => {
            let isTaken = true
            while (isTaken && response.writable) isTaken = response.write('x'.repeat(65_536))
          }
          response.on('drain', writeWhileTaken)
          return writeWhileTaken()
        }
        default:
          // A redirection leads to an address of its own: a client that follows it shows there.
          response.writeHead(reaction, reaction === 302 ? { location: '/elsewhere' } : {}).end('OK')
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/check`),
    pings,
    requests,
    react: (reaction) => {
      react = typeof reaction === 'function' ? reaction : () => reaction
    },
  }
}
