import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { openForTests } from '@roundsman/testing'
import { afterEach, expect, it } from 'vitest'
import { createNodeHandler, type NodeHandler, type NodeHandlerOptions } from '../src/index.ts'
import { accessOf, jobs, openHost } from '@roundsman/testing/openHost'

const host = openForTests(openHost)
let server: Server | undefined
let handler: NodeHandler | undefined

afterEach(async () => {
  await handler?.close()
  server?.closeAllConnections()
  server?.close()
})

const open = (options: Partial<NodeHandlerOptions> = {}) =>
  (handler = createNodeHandler({
    client: host.client,
    jobs,
    authorize: ({ headers }) => accessOf(headers['x-user']),
    ...options,
  }))

async function listen(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const headers = { 'x-user': 'ada' }
const run = (address: string) =>
  fetch(`${address}/jobs/echo/run`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'größer' }),
  })

it('is a listener of node:http', async () => {
  const address = await listen(open())
  expect((await fetch(`${address}/api/jobs`)).status).toBe(401)
  expect(await (await fetch(`${address}/api/jobs`, { headers })).json()).toMatchObject({
    jobs: [{ name: 'echo' }],
  })
  expect((await run(`${address}/api`)).status).toBe(202)
  const nowhere = await fetch(`${address}/nowhere`)
  expect(await nowhere.json()).toMatchObject({ status: 404 })
})

it.each([['with'], ['without']])(
  'is a middleware of Express, %s a parser of bodies before it, and leaves the rest alone',
  async (which) => {
    const app = express()
    if (which === 'with') app.use(express.json())
    app.use((request, _response, next) => {
      Object.assign(request, { user: request.headers['x-user'] })
      next()
    })
    app.use(
      '/admin',
      open({
        basePath: '/admin',
        authorize: (request: IncomingMessage & { user?: string }) => accessOf(request.user),
      }),
    )
    app.get('/admin/own', (request, response) => void response.json({ url: request.url }))
    app.use((_request, response) => void response.status(404).json({ mine: 'nothing' }))
    const address = await listen(app)

    expect((await run(`${address}/admin/api`)).status).toBe(202)
    const [latest] = await host.prisma.jobAction.findMany({ orderBy: { at: 'desc' }, take: 1 })
    expect(latest).toMatchObject({ actor: 'ada@example.com', reason: 'größer' })
    expect(await (await fetch(`${address}/admin/own`)).json()).toEqual({ url: '/admin/own' })
    expect(await (await fetch(`${address}/api/jobs`)).json()).toEqual({ mine: 'nothing' })
    const page = await fetch(`${address}/admin/console/runs`)
    expect(page.headers.get('content-type')).toMatch(/^(text\/html|application\/problem\+json)/)
  },
)

it.each([
  ['apiPrefix', { apiPrefix: '/' }, '/jobs', '/console'],
  ['consolePath', { consolePath: '/' }, '/api/jobs', '/any/page'],
  ['basePath', { basePath: '/' }, '/api/jobs', '/console'],
])(
  'takes / for the %s as the root also where others come after it',
  async (_name, options, api, page) => {
    const handle = open(options)
    const address = await listen((request, response) =>
      handle(request, response, () => void response.writeHead(418).end()),
    )
    expect((await fetch(`${address}${api}`, { headers })).status).toBe(200)
    const { status, headers: told } = await fetch(`${address}${page}`)
    expect([status, told.get('content-type')]).not.toContain(418)
    expect(told.get('content-type')).toMatch(/^(text\/html|application\/problem\+json)/)
  },
)

it('ends its streams of events when it is closed', async () => {
  const address = await listen(open())
  const { body, status } = await fetch(`${address}/api/jobs/events`, { headers })
  expect(status).toBe(200)
  const reading = new Response(body).text()
  await handler?.close()
  expect(await reading).toMatch(/^retry: 2000\nid: /)
})

it('refuses at once what it could never serve', () => {
  expect(() => open({ apiPrefix: 'api/' })).toThrow('apiPrefix has to be a path')
  expect(() => open({ basePath: '/admin/' })).toThrow('basePath has to be a path')
  expect(() => open({ client: { ...host.client, protocol: 0 as never } })).toThrow(
    'do not go together',
  )
})
