import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createFetchHandler,
  createNodeHandler,
  type Access,
  type AdminOptions,
} from '@roundsman/admin'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { roundsman } from '../src/index.ts'

export const KINDS = ['fetch', 'node', 'fastify'] as const
export type Kind = (typeof KINDS)[number]

export interface Served {
  /** As a browser sees it. */
  origin: string
  ask(path: string, init?: RequestInit): Promise<Response>
}

interface ServersOptions extends Pick<AdminOptions, 'client' | 'jobs'> {
  /** `user` is the header x-user. */
  authorize(user: string | string[] | null | undefined): Access | null | Promise<Access | null>
  log?: Record<'warn' | 'error', (...line: unknown[]) => unknown>
  /** What the host of the Node handler puts around it. */
  around?(listener: RequestListener): RequestListener
  /** Of the host of the plugin. */
  logger?: FastifyBaseLogger
  genReqId?(): string
  /** What it adds to its server. */
  prepare?(app: FastifyInstance): void
}

/** The same admin API and console at /ops, on each kind of server. */
export async function openServers({
  client,
  jobs,
  authorize,
  log,
  around = (listener) => listener,
  logger,
  genReqId,
  prepare = () => undefined,
}: ServersOptions): Promise<Record<Kind, Served> & { close(): Promise<void> }> {
  const consoleDir = await mkdtemp(join(tmpdir(), 'roundsman-console-'))
  await mkdir(join(consoleDir, 'assets'))
  await writeFile(join(consoleDir, 'index.html'), '<meta name="roundsman" /><script src="./a.js">')
  await writeFile(join(consoleDir, 'assets/a.css'), 'a {}')
  const options: AdminOptions = { client, jobs, consoleDir, consolePath: '/', environment: 'test' }
  const logged = log && { log }

  const handleFetch = createFetchHandler({
    ...options,
    ...logged,
    basePath: '/ops',
    authorize: async ({ headers }) => authorize(headers.get('x-user')),
  })

  const handleNode = createNodeHandler({
    ...options,
    ...logged,
    basePath: '/ops',
    authorize: ({ headers }) => authorize(headers['x-user']),
  })
  const server = createServer(around(handleNode)).listen(0, '127.0.0.1')
  await once(server, 'listening')

  const app = Fastify({
    routerOptions: { maxParamLength: 512 },
    ...(logger && { loggerInstance: logger }),
    ...(genReqId && { genReqId }),
  })
  prepare(app)
  await app.register(roundsman, {
    ...options,
    prefix: '/ops',
    authorize: ({ headers }) => authorize(headers['x-user']),
  })

  const at = (origin: string): Served => ({
    origin,
    ask: (path, init) => fetch(origin + path, init),
  })
  return {
    fetch: {
      origin: 'https://admin.example',
      // Behind a proxy a framework may call the server by another name than its clients do.
      ask: (path, init) => {
        const request = new Request(`http://localhost:3000${path}`, init)
        request.headers.set('host', 'admin.example')
        return handleFetch(request)
      },
    },
    node: at(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    fastify: at(await app.listen({ port: 0, host: '127.0.0.1' })),
    async close() {
      await Promise.all([handleFetch.close(), handleNode.close()])
      server.closeAllConnections()
      server.close()
      app.server.closeAllConnections()
      await app.close()
      await rm(consoleDir, { recursive: true })
    },
  }
}
