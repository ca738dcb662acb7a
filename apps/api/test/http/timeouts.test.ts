// Not quick: waits for time-outs.
import { openForTests, waitFor } from '@roundsman/testing'
import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { buildApp, type AppOptions } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'

const api = openForTests(createTestApi)

const LONG_MS = 60_000
/** Each time-out that these tests wait for. */
const SHORT_MS = 300
const patient = { headersMs: LONG_MS, requestMs: LONG_MS, idleMs: LONG_MS, checkEveryMs: 20 }

async function listen(options: Partial<AppOptions>): Promise<FastifyInstance> {
  const { prisma, jobsClient, clock } = api
  const app = buildApp({
    prisma,
    jobsClient,
    jobs: [],
    jwtSecret: JWT_SECRET,
    now: clock.now,
    ...options,
  })
  onTestFinished(async () => {
    app.server.closeAllConnections()
    await app.close()
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

function send(app: FastifyInstance, request: string): Socket {
  const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(request)
  return socket.on('error', () => undefined)
}

const connections = (app: FastifyInstance) =>
  new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))

const authorized = (app: FastifyInstance, path: string) =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n` +
  `authorization: Bearer ${app.issueToken(api.userIds.admin)}\r\n\r\n`

const SLOW_BODY =
  'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{"email":'

describe('a request that does not come to its end', () => {
  it.each([
    ['body', { requestMs: SHORT_MS, headersMs: SHORT_MS }, SLOW_BODY],
    ['headers', { headersMs: SHORT_MS }, 'GET / HTTP/1.1\r\nhost: a\r\nx-some: th'],
  ])('because of its %s is answered, and its connection closed', async (_part, limits, request) => {
    const app = await listen({ timeouts: { ...patient, ...limits } })
    const answer = await text(send(app, request))
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      status: 408,
      detail: 'The request took too long to arrive',
    })
  })

  it('is not waited for by default', () => {
    const { server } = api.app
    const { requestTimeout, headersTimeout, timeout } = server
    expect([requestTimeout, headersTimeout, timeout]).toEqual([30_000, 15_000, 120_000])
  })
})

describe('an answer that takes long', () => {
  beforeEach(async () => {
    // Far more than the buffers of two sockets hold.
    await api.prisma.$executeRaw`truncate "JobRun"`
    await api.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt", "details")
      select gen_random_uuid(), 'many', 'queue', 'w1', now() - n * interval '1 s',
        jsonb_build_object('text', repeat('x', 100000))
      from generate_series(1, 400) n`
  })

  it('is given in full to one who reads slowly', async () => {
    const app = await listen({ timeouts: { ...patient, requestMs: SHORT_MS, headersMs: SHORT_MS } })
    const download = send(app, authorized(app, '/api/jobs/runs.csv'))
    const [start] = (await once(download, 'data')) as [Buffer]
    download.pause()
    // By then the time for a request to arrive is over.
    await text(send(app, SLOW_BODY))
    expect((start.toString() + (await text(download))).split(',many,').length - 1).toBe(400)
  })

  it('is cut off where nobody reads it', async () => {
    const app = await listen({ timeouts: { ...patient, idleMs: SHORT_MS } })
    send(app, authorized(app, '/api/jobs/runs.csv')).pause()
    await waitFor(async () => (await connections(app)) === 1)
    await waitFor(async () => (await connections(app)) === 0)
    expect(await connections(app)).toBe(0)
  })

  it('goes on while events come', async () => {
    const idleMs = 1_500
    const app = await listen({
      timeouts: { ...patient, requestMs: SHORT_MS, headersMs: SHORT_MS, idleMs },
      pingIntervalMs: 100,
    })
    const events = send(app, authorized(app, '/api/jobs/events'))
    let seen = ''
    events.on('data', (chunk) => (seen += chunk.toString()))
    await waitFor(() => seen.split('event: ping').length * 100 > 2 * idleMs)
    expect(events.closed).toBe(false)
  })
})
