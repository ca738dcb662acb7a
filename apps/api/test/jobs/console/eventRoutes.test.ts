// Not quick: waits for connections that are cut.
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as immediate } from 'node:timers/promises'
import type { DatabaseClient } from '@roundsman/db'
import { defineJob } from '@roundsman/engine'
import type { JobsClient } from '@roundsman/engine/client'
import { createWorker, type Worker } from '@roundsman/engine/worker'
import { waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildApp, type AppOptions } from '../../../src/app.ts'
import { createTestApi, JWT_SECRET, type TestApi } from '../../createTestApi.ts'

const log = pino({ level: 'silent' })
const echo = defineJob({ name: 'echo' })

let api: TestApi
let app: ReturnType<typeof buildApp>
let url: string
let worker: Worker | undefined
let aborts: AbortController[] = []

beforeAll(async () => {
  api = await createTestApi()
  app = appOf({ jobs: [echo], pingIntervalMs: 20 })
  url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/api/jobs/events`
})

function appOf(options: Partial<AppOptions> = {}): ReturnType<typeof buildApp> {
  const { prisma, jobsClient, clock } = api
  return buildApp({
    prisma,
    jobsClient,
    jobs: [],
    jwtSecret: JWT_SECRET,
    now: clock.now,
    ...options,
  })
}

/** A client that reports a change when the test says so. */
function changing(): { jobsClient: JobsClient; change: (name: string) => void } {
  const listeners: ((name: string) => void)[] = []
  const watchChanges: JobsClient['watchChanges'] = ({ onChange }) => {
    listeners.push((name) => onChange({ ids: [], names: [name], ticks: [] }))
    return { isLasting: () => true, close: async () => undefined }
  }
  return {
    jobsClient: { ...api.jobsClient, watchChanges },
    change: (name) => listeners.forEach((listener) => listener(name)),
  }
}

afterEach(async () => {
  for (const abort of aborts) abort.abort()
  aborts = []
  await worker?.stop({ drainTimeoutMs: 0 })
  worker = undefined
})

afterAll(async () => {
  // A client may open a connection in advance, and close() would wait for that one.
  app.server.closeAllConnections()
  await app.close()
  await api.close()
})

const bearer = (role: 'staff' | 'admin') => ({
  authorization: `Bearer ${app.issueToken(api.userIds[role])}`,
})

/** A reader of the event stream that keeps what it was sent. */
async function follow(headers: Record<string, string> = {}) {
  const abort = new AbortController()
  aborts.push(abort)
  const response = await fetch(url, {
    headers: { ...bearer('admin'), ...headers },
    signal: abort.signal,
  })
  let text = ''
  const reading = (async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk
  })().catch(() => undefined)
  const blocks = () =>
    text.split('\n\n').map((block) => ({
      id: /^id: (.*)$/m.exec(block)?.[1],
      event: /^event: (.*)$/m.exec(block)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null') as {
        ids?: string[]
        names?: string[]
      } | null,
    }))
  const events = () => blocks().filter(({ event }) => event !== undefined && event !== 'ping')
  return { response, blocks, events, reading, stop: () => abort.abort() }
}

async function startWorker(): Promise<void> {
  const { databaseUrl, prisma } = api
  worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl,
    client: prisma,
    jobs: [echo],
    handlers: { echo: async () => undefined },
    log,
  })
  await worker.start()
}

async function runOnce(): Promise<string> {
  const { workId } = await api.prisma.$transaction((tx) => api.jobsClient.enqueue(tx, echo, {}))
  const run = await waitFor(() =>
    api.prisma.jobRun.findFirst({ where: { workId, status: 'success' } }),
  )
  return run.id
}

describe('following what changes', () => {
  it('is for admins, like what it tells of', async () => {
    expect((await fetch(url)).status).toBe(401)
    expect((await fetch(url, { headers: bearer('staff') })).status).toBe(403)
    const { response } = await follow()
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'")
  })

  it('tells every client of a run', async () => {
    const clients = [await follow(), await follow()]
    await startWorker()
    const id = await runOnce()
    for (const { events } of clients) {
      await waitFor(() => events().some(({ data }) => data?.ids?.includes(id)))
      expect(events()[0]).toMatchObject({ event: 'run', data: { names: ['echo'] } })
    }
  })

  it('goes on where a client was cut off', async () => {
    const first = await follow()
    await startWorker()
    const before = await runOnce()
    await waitFor(() => first.events().some(({ data }) => data?.ids?.includes(before)))
    // All that is still to be told of it.
    const watcher = await follow()
    first.stop()
    const missed = await runOnce()
    await waitFor(() => watcher.events().some(({ data }) => data?.ids?.includes(missed)))

    const again = await follow({ 'last-event-id': first.events().at(-1)!.id! })
    await waitFor(() => again.events().some(({ data }) => data?.ids?.includes(missed)))
    expect(again.events().some(({ event }) => event === 'reset')).toBe(false)
  })

  it('goes on where a client was cut off that had not been told of anything yet', async () => {
    const first = await follow()
    const from = await waitFor(() => first.blocks()[0]?.id)
    first.stop()
    await startWorker()
    const watcher = await follow()
    const missed = await runOnce()
    await waitFor(() => watcher.events().some(({ data }) => data?.ids?.includes(missed)))

    const again = await follow({ 'last-event-id': from })
    await waitFor(() => again.events().some(({ data }) => data?.ids?.includes(missed)))
    expect(again.events().some(({ event }) => event === 'reset')).toBe(false)
  })

  it('says again and again that the connection holds, which changes nothing of where to go on', async () => {
    const { blocks } = await follow()
    const pings = () => blocks().filter(({ event }) => event === 'ping')
    await waitFor(() => pings().length >= 2)
    expect(pings()[0]).toEqual({ id: undefined, event: 'ping', data: {} })
  })

  it('says when something may have been missed', async () => {
    const { events } = await follow({ 'last-event-id': 'of-another-process-7' })
    await waitFor(() => events().length > 0)
    expect(events()).toMatchObject([{ event: 'reset' }])
  })

  it('comes back when the connection to the database is cut, and says so', async () => {
    await startWorker()
    const { events } = await follow()
    await runOnce()
    await waitFor(() => events().length > 0)
    await api.prisma.$queryRaw`
      select pg_terminate_backend(pid, 5000)::text from pg_stat_activity
      where application_name = 'roundsman changes' and datname = current_database()`
    await waitFor(() => events().some(({ event }) => event === 'reset'))
    const id = await runOnce()
    await waitFor(() => events().some(({ data }) => data?.ids?.includes(id)))
    expect(events().at(-1)?.event).toBe('run')
  })

  it('has nothing for HEAD, whose answer would never end', async () => {
    expect((await fetch(url, { method: 'HEAD', headers: bearer('admin') })).status).toBe(404)
  })

  describe('to somebody who may not follow it any more', () => {
    const own = { url: '', close: async () => undefined as unknown }
    beforeAll(async () => {
      const quick = appOf({ eventsRecheckMs: 20 })
      own.url = `${await quick.listen({ port: 0, host: '127.0.0.1' })}/api/jobs/events`
      own.close = () => quick.close()
    })
    afterAll(() => own.close())

    const changesOfUser = {
      demoted: (id: string) =>
        api.prisma.user.update({ where: { id }, data: { role: 'staff' as const } }),
      deleted: (id: string) => api.prisma.user.delete({ where: { id } }),
    }
    const proofs = {
      token: (id: string) => ({ authorization: `Bearer ${app.issueToken(id)}` }),
      session: (id: string) => ({ cookie: `roundsman_session=${app.issueSession(id).token}` }),
    }

    it.each([
      ['token', 'demoted'],
      ['token', 'deleted'],
      ['session', 'demoted'],
      ['session', 'deleted'],
    ] as const)('by %s, ends when its user is %s', async (proof, change) => {
      const { id } = await api.prisma.user.create({
        data: { email: 'former@example.com', role: 'admin', passwordHash: 'unused' },
      })
      try {
        const stream = await fetch(own.url, { headers: proofs[proof](id) })
        expect(stream.status).toBe(200)
        await changesOfUser[change](id)
        expect(await stream.text()).toMatch(/^retry: 2000\nid: \S+\n\n$/)
      } finally {
        await api.prisma.user.deleteMany({ where: { id } })
      }
    })

    it('ends when the log-in has expired, and not before', async () => {
      const start = api.clock.now()
      try {
        const stream = await fetch(own.url, { headers: bearer('admin') })
        const reader = stream.body!.getReader()
        expect((await reader.read()).done).toBe(false)
        api.clock.advance(15 * 60_000 + 1_000)
        expect((await reader.read()).done).toBe(true)
      } finally {
        api.clock.set(start)
      }
    })
  })

  it('lets go of a client that has missed more than it may have to read, and of nobody else', async () => {
    const { jobsClient, change } = changing()
    const own = appOf({ jobsClient })
    const errors: unknown[] = []
    own.addHook('preHandler', (_request, { raw }, done) => {
      // Without a listener, this error would end the process.
      raw.on('error', (error) => errors.push(error))
      done()
    })
    const address = await own.listen({ port: 0, host: '127.0.0.1' })
    try {
      const abort = new AbortController()
      const first = await fetch(`${address}/api/jobs/events`, {
        headers: bearer('admin'),
        signal: abort.signal,
      })
      const { value } = await first.body!.getReader().read()
      const [, id = ''] = /^id: (.*)$/m.exec(new TextDecoder().decode(value)) ?? []
      abort.abort()
      for (let count = 0; count < 100; count += 1) change('x'.repeat(2_000))
      const response = await fetch(`${address}/api/jobs/events`, {
        headers: { ...bearer('admin'), 'last-event-id': id },
      }).catch(() => undefined)
      await response?.text().catch(() => undefined)
      expect((await fetch(`${address}/health/live`)).status).toBe(200)
      expect(errors).toEqual([])
    } finally {
      own.server.closeAllConnections()
      await own.close()
    }
  })

  it('leaves a client that may not follow it any more and does not read either', async () => {
    const { prisma } = api
    const { id } = await prisma.user.create({
      data: { email: 'former@example.com', role: 'admin', passwordHash: 'unused' },
    })
    const { jobsClient, change } = changing()
    const own = appOf({ jobsClient, eventsRecheckMs: 20, pingIntervalMs: 20 })
    const answers: ServerResponse[] = []
    const errors: unknown[] = []
    own.addHook('preHandler', (_request, { raw }, done) => {
      answers.push(raw)
      raw.on('error', (error) => errors.push(error))
      done()
    })
    const { port } = new URL(await own.listen({ port: 0, host: '127.0.0.1' }))
    const client = connect(Number(port), '127.0.0.1').pause()
    try {
      client.write(
        `GET /api/jobs/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${own.issueToken(id)}\r\n\r\n`,
      )
      const answer = await waitFor(() => answers[0]?.headersSent && answers[0])
      while (answer.writableLength === 0) {
        change('x'.repeat(2_000))
        await immediate()
      }
      await prisma.user.delete({ where: { id } })
      await waitFor(() => answer.writableEnded)
      expect(answer.destroyed).toBe(false)
      // A subscription that went on would write pings and changes, and each would be an error now.
      change('later')
      const other = await fetch(`http://127.0.0.1:${port}/api/jobs/events`, {
        headers: bearer('admin'),
      })
      const reader = other.body!.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      while (text.split('event: ping').length < 4) text += (await reader.read()).value ?? ''
      expect(errors).toEqual([])
    } finally {
      await prisma.user.deleteMany({ where: { id } })
      client.destroy()
      await own.close()
    }
  })

  it('begins nothing for a client that has gone while it was seen who asks', async () => {
    const { prisma } = api
    const asked = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const handled = Promise.withResolvers<ServerResponse>()
    const readRows: DatabaseClient['readRows'] = async (statement) => {
      asked.resolve()
      await gone.promise
      return prisma.readRows<never>(statement)
    }
    const own = appOf({
      prisma: new Proxy(prisma, {
        get: (target, key) => (key === 'readRows' ? readRows : Reflect.get(target, key)),
      }),
    })
    own.addHook('onRequestAbort', (_request, done) => {
      gone.resolve()
      done()
    })
    own.addHook('preHandler', (_request, { raw }, done) => {
      done()
      handled.resolve(raw)
    })
    const address = await own.listen({ port: 0, host: '127.0.0.1' })
    try {
      const abort = new AbortController()
      const asking = fetch(`${address}/api/jobs/events`, {
        headers: bearer('admin'),
        signal: abort.signal,
      })
      await asked.promise
      abort.abort()
      await expect(asking).rejects.toThrow('aborted')
      expect((await handled.promise).headersSent).toBe(false)
    } finally {
      await own.close()
    }
  })

  it('does not keep the server from closing', async () => {
    const own = appOf()
    const address = await own.listen({ port: 0, host: '127.0.0.1' })
    const response = await fetch(`${address}/api/jobs/events`, { headers: bearer('admin') })
    await own.close()
    expect(await response.text()).toMatch(/^retry: 2000\nid: \S+-0\n\n$/)
  })
})
