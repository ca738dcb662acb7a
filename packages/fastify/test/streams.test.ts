// Not quick: waits for connections that are cut.
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as immediate } from 'node:timers/promises'
import type { JobsClient } from '@roundsman/engine/client'
import { createWorker, type Worker } from '@roundsman/engine/worker'
import { openForTests, waitFor } from '@roundsman/testing'
import { accessOf, echo, jobs, log, openHost } from '@roundsman/testing/openHost'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { roundsman, type RoundsmanOptions } from '../src/index.ts'

const headers = { 'x-user': 'ada' }

const host = openForTests(openHost)
let app: FastifyInstance
let url: string
let worker: Worker | undefined
let aborts: AbortController[] = []

beforeAll(async () => {
  app = await appOf({ pingIntervalMs: 20 })
  url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/api/jobs/events`
})

async function appOf(options: Partial<RoundsmanOptions> = {}): Promise<FastifyInstance> {
  const own = Fastify()
  await own.register(roundsman, {
    client: host.client,
    jobs,
    authorize: (request) => accessOf(request.headers['x-user']),
    ...options,
  })
  return own
}

/** A client that reports a change when the test says so. */
function changing(): { client: JobsClient; change: (name: string) => void } {
  const listeners: ((name: string) => void)[] = []
  const watchChanges: JobsClient['watchChanges'] = ({ onChange }) => {
    listeners.push((name) => onChange({ ids: [], names: [name], ticks: [] }))
    return { isLasting: () => true, close: async () => undefined }
  }
  return {
    client: { ...host.client, watchChanges },
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
})

/** A reader of the event stream that keeps what it was sent. */
async function follow(more: Record<string, string> = {}) {
  const abort = new AbortController()
  aborts.push(abort)
  const response = await fetch(url, { headers: { ...headers, ...more }, signal: abort.signal })
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
  worker = createWorker({
    databaseUrl: host.url,
    schema: 'public',
    retention: false,
    client: host.prisma,
    jobs: [echo],
    handlers: { echo: async () => undefined },
    log,
  })
  await worker.start()
}

async function runOnce(): Promise<string> {
  const { workId } = await host.prisma.$transaction((tx) => host.client.enqueue(tx, echo, {}))
  const run = await waitFor(() =>
    host.prisma.jobRun.findFirst({ where: { workId, status: 'success' } }),
  )
  return run.id
}

describe('following what changes', () => {
  it('tells every client of a run', async () => {
    const clients = [await follow(), await follow()]
    await startWorker()
    const id = await runOnce()
    for (const { events } of clients) {
      await waitFor(() => events().some(({ data }) => data?.ids?.includes(id)))
      expect(events()[0]).toMatchObject({ event: 'run', data: { names: ['echo'] } })
    }
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

  it('has nothing for HEAD, whose answer would never end', async () => {
    expect((await fetch(url, { method: 'HEAD', headers })).status).toBe(404)
  })

  it('leaves a client that may not follow it any more and does not read either', async () => {
    const { client, change } = changing()
    let former = accessOf('ada')
    const authorize = (request: { headers: NodeJS.Dict<string | string[]> }) =>
      request.headers['x-user'] === 'former' ? former : accessOf('ada')
    const own = await appOf({ client, authorize, recheckMs: 20, pingIntervalMs: 20 })
    const answers: ServerResponse[] = []
    const errors: unknown[] = []
    own.addHook('preHandler', (_request, { raw }, done) => {
      answers.push(raw)
      raw.on('error', (error) => errors.push(error))
      done()
    })
    const { port } = new URL(await own.listen({ port: 0, host: '127.0.0.1' }))
    const socket = connect(Number(port), '127.0.0.1').pause()
    try {
      socket.write('GET /api/jobs/events HTTP/1.1\r\nHost: x\r\nX-User: former\r\n\r\n')
      const answer = await waitFor(() => answers[0]?.headersSent && answers[0])
      while (answer.writableLength === 0) {
        change('x'.repeat(2_000))
        await immediate()
      }
      former = null
      await waitFor(() => answer.writableEnded)
      expect(answer.destroyed).toBe(false)
      // A subscription that went on would write pings and changes, and each would be an error now.
      change('later')
      const other = await fetch(`http://127.0.0.1:${port}/api/jobs/events`, { headers })
      const reader = other.body!.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      while (text.split('event: ping').length < 4) text += (await reader.read()).value ?? ''
      expect(errors).toEqual([])
    } finally {
      socket.destroy()
      await own.close()
    }
  })

  it('begins nothing for a client that has gone while it was seen who asks', async () => {
    const asked = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const asks: unknown[] = []
    const own = await appOf({
      recheckMs: 10,
      authorize: async (request) => {
        const user = request.headers['x-user']
        asks.push(user)
        if (user === 'bob') {
          asked.resolve()
          await gone.promise
        }
        return accessOf(user)
      },
    })
    own.addHook('onRequestAbort', (_request, done) => {
      gone.resolve()
      done()
    })
    const address = await own.listen({ port: 0, host: '127.0.0.1' })
    try {
      const abort = new AbortController()
      const asking = fetch(`${address}/api/jobs/events`, {
        headers: { 'x-user': 'bob' },
        signal: abort.signal,
      })
      await asked.promise
      abort.abort()
      await expect(asking).rejects.toThrow('aborted')
      await gone.promise
      // The checks of another client show that this one's would have come.
      const other = await fetch(`${address}/api/jobs/events`, { headers })
      await waitFor(() => asks.filter((user) => user === 'ada').length >= 4)
      await other.body!.cancel()
      expect(asks.filter((user) => user === 'bob')).toHaveLength(1)
    } finally {
      own.server.closeAllConnections()
      await own.close()
    }
  })

  it('does not keep the server from closing', async () => {
    const own = await appOf()
    const address = await own.listen({ port: 0, host: '127.0.0.1' })
    const response = await fetch(`${address}/api/jobs/events`, { headers })
    await own.close()
    expect(await response.text()).toMatch(/^retry: 2000\nid: \S+-0\n\n$/)
  })
})
