import type { Access } from '@roundsman/admin'
import { SECURITY_HEADERS } from '@roundsman/admin/internal'
import { waitFor } from '@roundsman/testing'
import { accessOf, echo, jobs, openHost, type Host } from '@roundsman/testing/openHost'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { KINDS, openServers, type Kind } from './openServers.ts'

let host: Host
let served: Awaited<ReturnType<typeof openServers>>

beforeAll(async () => {
  host = await openHost()
  served = await openServers({ client: host.client, jobs, authorize, log })
})

afterAll(async () => {
  await served.close()
  await host.close()
})

/** How often the one whose rights end may still do something. */
let asksLeft = 0
let onAsk = () => {}

/** The simplest log-in, which may also be broken. */
function authorize(user: string | string[] | null | undefined): Access | null {
  if (user === 'demoted') {
    onAsk()
    return accessOf(asksLeft-- > 0 ? 'ada' : 'eve')
  }
  if (user === 'broken') throw new Error('no session store')
  if (user === 'banned')
    throw Object.assign(new Error('You are banned'), { statusCode: 403, headers: { 'x-why': 'b' } })
  return accessOf(user)
}

const lines: unknown[] = []
const log = {
  warn: (...line: unknown[]) => lines.push(line),
  error: (...line: unknown[]) => lines.push(line),
}

const as = (user: string, more: Record<string, string> = {}) => ({
  headers: { 'x-user': user, ...more },
})
const JSON_TYPE = { 'content-type': 'application/json' }
const post = (body: string, more: Record<string, string> = {}, user = 'ada') => ({
  method: 'POST',
  body,
  ...as(user, { ...JSON_TYPE, ...more }),
})
const REASON = JSON.stringify({ reason: 'a test' })
const RUN = '/ops/api/jobs/echo/run'
const id = '01a20e26-367c-766a-a085-72e882269712'

it.each<[path: string, status: number, init?: RequestInit, kinds?: readonly Kind[]]>([
  // The console, for anybody: it asks the API who looks.
  ['/ops', 200],
  ['/ops/', 200],
  ['/ops/runs/1?x=%', 200],
  ['/ops/assets/a.css', 200],
  ['/ops/assets/gone.css', 404],
  ['/ops/assets/..%2f..%2fsecret', 404],
  // Fastify's own answer, which its host chooses.
  ['/ops/%ff', 400, {}, ['fetch', 'node']],
  ['/ops/assets/a.css', 200, { method: 'HEAD' }],
  ['/ops', 405, { method: 'POST' }, ['fetch', 'node']],
  // Who asks.
  ['/ops/api/jobs', 401],
  ['/ops/api/jobs', 403, as('eve')],
  ['/ops/api/jobs', 403, as('banned')],
  ['/ops/api/jobs', 500, as('broken')],
  ['/ops/api/jobs', 200, as('bob')],
  ['/ops/api/console/access', 200, as('bob')],
  // What they ask for.
  ['/ops/api/jobs', 200, { method: 'HEAD', ...as('bob') }],
  ['/ops/api/nothing', 404, as('bob')],
  ['/ops/api/jobs/nothing', 404, as('bob')],
  ['/ops/api/jobs/runs?limit=0&of=me', 400, as('bob')],
  ['/ops/api/jobs/runs?limit=1&limit=2', 400, as('bob')],
  ['/ops/api/jobs/runs/1', 400, as('bob')],
  [`/ops/api/jobs/runs/${id}`, 404, as('bob')],
  ['/ops/api/jobs/%65cho/ticks', 200, as('bob')],
  ['/ops/api/console/jobs/host%3A1%2F2', 404, as('bob')],
  ['/ops/api/jobs/%ff/ticks', 400, as('bob'), ['fetch', 'node']],
  [`/ops/api/jobs/${'x'.repeat(600)}/ticks`, 414, as('bob')],
  ['/ops/api/jobs/runs.csv', 200, as('bob')],
  ['/ops/api/jobs/runs.csv', 200, { method: 'HEAD', ...as('bob') }],
  ['/ops/api/jobs', 405, { method: 'POST', ...as('ada') }, ['fetch', 'node']],
  ['/ops/api/jobs/events', 405, { method: 'HEAD', ...as('ada') }, ['fetch', 'node']],
  // What they change.
  [RUN, 403, post(REASON, {}, 'bob')],
  [RUN, 202, post(REASON)],
  [RUN, 202, post(REASON, { 'content-type': 'application/json; charset=utf-8' })],
  [RUN, 400, post('{')],
  [RUN, 400, post('')],
  [RUN, 400, post('{"reason":"x","payload":{"__proto__":{}}}')],
  [RUN, 400, post('{"reason":"x","payload":{"a":[{"constructor":{"prototype":1}}]}}')],
  [RUN, 400, { method: 'POST', ...as('ada') }],
  [RUN, 400, post(JSON.stringify({ reason: '', more: 1 }))],
  [RUN, 413, post(JSON.stringify({ reason: 'x'.repeat(70_000) }))],
  [RUN, 415, post(REASON, { 'content-type': 'text/plain' })],
  [RUN, 415, { method: 'POST', body: new Blob([REASON]), ...as('ada') }],
  [`/ops/api/jobs/dead-letters/${id}`, 404, { method: 'DELETE', ...as('ada') }],
  // From where.
  [RUN, 403, post(REASON, { origin: 'https://evil.example' })],
  [RUN, 403, post(REASON, { origin: 'https://evil.example', authorization: 'Basic YTpi' })],
  // No browser sends such a token by itself.
  [RUN, 202, post(REASON, { origin: 'https://evil.example', authorization: 'Bearer abc' })],
  // The cookie may be what says who asks.
  [
    RUN,
    403,
    post(REASON, { origin: 'https://evil.example', authorization: 'Bearer abc', cookie: 'a=b' }),
  ],
  [RUN, 403, post(REASON, { origin: 'null' })],
  [RUN, 403, post(REASON, { 'sec-fetch-site': 'same-site', origin: 'https://admin.example' })],
  // Looking is allowed from anywhere, since it changes nothing.
  ['/ops/api/jobs', 200, as('bob', { 'sec-fetch-site': 'cross-site' })],
  [RUN, 403, post(REASON, { 'sec-fetch-site': 'cross-site' })],
  [RUN, 202, post(REASON, { 'sec-fetch-site': 'same-origin', origin: 'https://of.a.proxy' })],
  [RUN, 202, post(REASON, { origin: 'https://of.a.proxy', 'x-forwarded-host': 'of.a.proxy, in' })],
])(
  '%s is answered with %d by every server, in the same words',
  async (path, status, init, kinds = KINDS) => {
    const answers = await Promise.all(
      kinds.map(async (kind) => {
        const answer = await served[kind].ask(path, init)
        const text = await answer.text()
        const { headers } = answer
        return {
          status: answer.status,
          text: text.replaceAll(/"(workId|nextRun)":"[^"]*"/g, ''),
          // Nobody is told the length of what is only streamed.
          length: headers.get('content-length') ?? '',
          ...Object.fromEntries(
            ['content-type', 'cache-control', 'content-disposition', 'allow', 'x-why'].map(
              (name) => [name, headers.get(name)],
            ),
          ),
        }
      }),
    )
    expect(answers[0]?.status).toBe(status)
    for (const answer of answers) expect(answer).toEqual(answers[0])
  },
)

it.each<[what: string, path: string, init: RequestInit, status: number]>([
  ['a page', '/ops', {}, 200],
  ['a file', '/ops/assets/a.css', {}, 200],
  ['a file that is gone', '/ops/assets/gone.css', {}, 404],
  ['JSON', '/ops/api/jobs', as('bob'), 200],
  ['HEAD', '/ops/api/jobs', { method: 'HEAD', ...as('bob') }, 200],
  ['events', '/ops/api/jobs/events', as('bob'), 200],
  ['CSV', '/ops/api/jobs/runs.csv', as('bob'), 200],
  ['a refusal', '/ops/api/jobs', {}, 401],
  ['a failure', '/ops/api/jobs', as('broken'), 500],
  ['a wrong request', RUN, post('{'), 400],
  ['a change', RUN, post(REASON), 202],
])(
  '%s comes with the headers that protect a browser, from every server',
  async (_what, path, init, status) => {
    for (const kind of KINDS) {
      const abort = new AbortController()
      const answer = await served[kind].ask(path, { ...init, signal: abort.signal })
      expect([kind, answer.status]).toEqual([kind, status])
      expect(Object.fromEntries(answer.headers)).toMatchObject(SECURITY_HEADERS)
      abort.abort()
    }
  },
)

it('a header that the host has set itself stays', async () => {
  const own = await openServers({
    client: host.client,
    jobs,
    authorize,
    around: (listener) => (request, response) => {
      response.setHeader('referrer-policy', 'same-origin')
      listener(request, response)
    },
    prepare: (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('referrer-policy', 'same-origin')
      }),
  })
  try {
    for (const kind of ['node', 'fastify'] as const) {
      const { headers } = await own[kind].ask('/ops')
      expect(headers.get('referrer-policy')).toBe('same-origin')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
  } finally {
    await own.close()
  }
})

it.each(KINDS)(
  '%s takes a change of its own pages, by the name that they call it',
  async (kind) => {
    const { ask, origin } = served[kind]
    expect((await ask(RUN, post(REASON, { origin }))).status).toBe(202)
  },
)

it('a broken authorize is named in the log, with the id that the client is told', async () => {
  for (const kind of ['fetch', 'node'] as const) {
    lines.length = 0
    const { headers } = await served[kind].ask('/ops/api/jobs', as('broken'))
    expect(lines).toMatchObject([
      [
        'request failed',
        {
          reqId: headers.get('x-request-id'),
          err: {
            message: expect.stringContaining('authorize threw'),
            cause: { message: 'no session store' },
          },
        },
      ],
    ])
  }
})

it.each(KINDS)('%s tells of what changes until the client leaves', async (kind) => {
  const abort = new AbortController()
  const { body, headers } = await served[kind].ask('/ops/api/jobs/events', {
    ...as('bob'),
    signal: abort.signal,
  })
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  let text = ''
  const reading = (async () => {
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) text += chunk
  })().catch(() => undefined)
  await waitFor(() => text.includes('retry: 2000'))
  await host.client.pauseQueue(echo.name, { actor: 'ada', reason: 'a test' })
  abort.abort()
  await reading
  expect(text).toMatch(/^retry: 2000\nid: \S+\n\n/)
})

it.each(KINDS)(
  '%s refuses a change of one whose rights end before the body comes',
  async (kind) => {
    const before = await host.prisma.jobAction.count()
    const body = new TransformStream<Uint8Array, Uint8Array>()
    const writer = body.writable.getWriter()
    const asked = Promise.withResolvers<void>()
    asksLeft = 1
    onAsk = asked.resolve
    const answer = served[kind].ask(RUN, {
      ...post('', {}, 'demoted'),
      body: body.readable,
      duplex: 'half',
    })
    // A client sends nothing before there is something of a body.
    await writer.write(Buffer.from(REASON.slice(0, 1)))
    await asked.promise
    await writer.write(Buffer.from(REASON.slice(1)))
    await writer.close()
    expect((await answer).status).toBe(403)
    expect(await host.prisma.jobAction.count()).toBe(before)
  },
)

it.each(KINDS)('%s ends the CSV of one whose rights end, as no whole list', async (kind) => {
  await host.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt")
    select gen_random_uuid(), 'many', 'queue', 'w1', now() - n * interval '1 s' from generate_series(1, 150) n`
  // At the beginning and before the first page.
  asksLeft = 2
  const { body } = await served[kind].ask('/ops/api/jobs/runs.csv?name=many', as('demoted'))
  let text = ''
  const reading = (async () => {
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) text += chunk
  })()
  await expect(reading).rejects.toThrow(/not look at the jobs any more|terminated/)
  expect(text.split('\r\n').length).toBeLessThanOrEqual(102)
})
