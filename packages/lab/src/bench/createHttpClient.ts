import { Agent, request } from 'node:http'

export interface HttpClient {
  /** Resolves to how many milliseconds the answer took. @throws when its status is not 200 */
  get(path: string): Promise<number>
  /** Like get, for a POST without a body that is answered 202. */
  post(path: string): Promise<number>
  /** Like get, up to the first byte of the body. It does not wait for the rest. */
  firstByte(path: string): Promise<number>
  /** Sends requests one after the other on each connection for `durationMs`. Returns how many a second. */
  load(path: string, options: { connections: number; durationMs: number }): Promise<number>
  close(): void
}

/** Keeps its connections open and does as little else as possible: the server is to be measured. */
export function createHttpClient(url: string, token: string | null): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const headers = token === null ? {} : { authorization: `Bearer ${token}` }

  function send(
    path: string,
    {
      method = 'GET',
      isFirstByteEnough = false,
    }: { method?: string; isFirstByteEnough?: boolean } = {},
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const startedAtMs = performance.now()
      const sent = request(`${url}${path}`, { method, agent, headers }, (response) => {
        if (response.statusCode !== (method === 'GET' ? 200 : 202)) {
          reject(new Error(`${method} ${path} was answered ${response.statusCode}`))
          response.resume()
          return
        }
        if (isFirstByteEnough) {
          response.once('data', () => {
            resolve(performance.now() - startedAtMs)
            response.destroy()
          })
          return
        }
        response.resume()
        response.once('end', () => resolve(performance.now() - startedAtMs))
        response.once('error', reject)
      })
      sent.once('error', reject)
      sent.end()
    })
  }

  return {
    get: (path) => send(path),
    post: (path) => send(path, { method: 'POST' }),
    firstByte: (path) => send(path, { isFirstByteEnough: true }),
    async load(path, { connections, durationMs }) {
      const startedAtMs = performance.now()
      let count = 0
      const work = async () => {
        while (performance.now() - startedAtMs < durationMs) {
          await send(path)
          count++
        }
      }
      await Promise.all(Array.from({ length: connections }, work))
      return (count / (performance.now() - startedAtMs)) * 1_000
    },
    close: () => agent.destroy(),
  }
}
