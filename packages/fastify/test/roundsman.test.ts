import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import { createJobsClient } from '@roundsman/engine/client'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createNodeHandler } from '@roundsman/admin'
import { roundsman, type RoundsmanOptions } from '../src/index.ts'
import { accessOf, echo, jobs, log, openHost, type Host } from '@roundsman/testing/openHost'

let host: Host
let consoleDir: string
let app: FastifyInstance

beforeAll(async () => {
  host = await openHost()
  consoleDir = await mkdtemp(join(tmpdir(), 'roundsman-console-'))
  await mkdir(join(consoleDir, 'assets'))
  await writeFile(
    join(consoleDir, 'index.html'),
    '<meta name="roundsman" /><script src="./theme.js"></script><link href="./assets/a.css">',
  )
  await writeFile(join(consoleDir, 'assets/a.css'), 'a {}')
})

afterEach(() => app.close())

afterAll(async () => {
  await host.close()
  await rm(consoleDir, { recursive: true })
})

const options = (more: Partial<RoundsmanOptions> = {}): RoundsmanOptions => ({
  client: host.client,
  jobs,
  authorize: ({ headers }) => accessOf(headers['x-user']),
  consoleDir,
  ...more,
})
const ask = (user: string | null, request: InjectOptions) =>
  app.inject({ ...request, headers: { ...(user && { 'x-user': user }), ...request.headers } })
const pause = (user: string) =>
  ask(user, { method: 'POST', url: '/api/jobs/echo/run', payload: { reason: 'a test' } })

/** What no host can mean. */
const REFUSED: [string, unknown][] = [
  ['client', null],
  ['client', undefined],
  ['jobs', null],
  ['jobs', 'echo'],
  ['jobs', [null]],
  ['jobs', [{ name: 5 }]],
  ['jobs', [echo, echo]],
  ['authorize', undefined],
  ['authorize', 'ada'],
  ['now', 5],
  ['environment', 5],
  ['environment', null],
  ['environment', { name: 5, isProduction: true }],
  ['environment', { name: 'live', isProduction: 'yes' }],
  ['apiPrefix', '/..'],
  ['apiPrefix', '/a/./b'],
  ['apiPrefix', 5],
  ['consolePath', '/../x'],
  ['publicPath', 'shop'],
  ['loginUrl', 'javascript:alert(1)'],
  ['loginUrl', ' javascript:alert(1)'],
  ['loginUrl', 'data:text/html,x'],
  ['loginUrl', 5],
  ['traceUrl', 'javascript:alert("{traceId}")'],
  ['traceUrl', '/trace/{traceId}'],
  ['traceUrl', 'https://traces.example.com/trace'],
]

const TRACE_URL = 'https://traces.example.com/{traceId}'

describe('addresses', () => {
  it('are those of this repository unless the host says otherwise', async () => {
    app = Fastify()
    await app.register(roundsman, options())
    expect((await ask('ada', { url: '/api/jobs/runs' })).json()).toMatchObject({ runs: [] })
    expect((await ask(null, { url: '/console' })).body).toContain(
      '<meta name="roundsman" data-base="/console" data-api="/api" data-sessions="false" data-login="" data-trace="" />',
    )
  })

  it('lie where the host puts them, and the page knows', async () => {
    app = Fastify()
    await app.register(roundsman, {
      ...options({
        apiPrefix: '/jobs-api',
        consolePath: '/watch',
        loginUrl: '/login?a=1&b="2"',
        traceUrl: TRACE_URL,
      }),
      prefix: '/ops',
    })
    expect((await ask('ada', { url: '/ops/jobs-api/jobs' })).json()).toMatchObject({
      jobs: [{ name: 'echo' }],
    })
    expect((await ask('ada', { url: '/api/jobs' })).statusCode).toBe(404)
    for (const url of ['/ops/watch', '/ops/watch/', '/ops/watch/runs/1']) {
      const { body, headers } = await ask(null, { url })
      expect(headers['content-type']).toBe('text/html; charset=utf-8')
      expect(body).toBe(
        '<meta name="roundsman" data-base="/ops/watch" data-api="/ops/jobs-api" data-sessions="false" ' +
          'data-login="/login?a=1&amp;b=&quot;2&quot;" data-trace="https://traces.example.com/{traceId}" />' +
          '<script src="/ops/watch/theme.js"></script><link href="/ops/watch/assets/a.css">',
      )
    }
    const { headers, body } = await ask(null, { url: '/ops/watch/assets/a.css' })
    expect(body).toBe('a {}')
    expect(headers).toMatchObject({
      'content-type': 'text/css; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    })
  })

  it('are told to the page as browsers see them, where a proxy takes a part off', async () => {
    app = Fastify()
    await app.register(roundsman, { ...options({ publicPath: '/shop/ops' }), prefix: '/ops' })
    const { body } = await ask(null, { url: '/ops/console' })
    expect(body).toContain('data-base="/shop/ops/console" data-api="/shop/ops/api"')
    expect(body).toContain('href="/shop/ops/console/assets/a.css"')
  })

  it.each(['/', '/ops', '/ops/', '/ops/deep/'])(
    'lie below the prefix %s on this host, whatever it ends in, and the page knows',
    async (prefix) => {
      app = Fastify()
      await app.register(roundsman, { ...options(), prefix })
      const base = prefix.replace(/\/$/, '')
      const { body } = await ask(null, { url: `${base}/console` })
      const [, api] = /data-api="([^"]*)"/.exec(body) ?? []
      const [, file] = /href="([^"]*)"/.exec(body) ?? []
      expect([api, file]).toEqual([`${base}/api`, `${base}/console/assets/a.css`])
      expect((await ask(null, { url: `${file}` })).body).toBe('a {}')
      expect((await ask('ada', { url: `${api}/jobs` })).statusCode).toBe(200)
    },
  )

  it.each(['/:tenant', '/of/:tenant/', '//other.example'])(
    'are refused below %s, which a page cannot write into its links',
    async (prefix) => {
      app = Fastify()
      app.register(roundsman, { ...options(), prefix })
      await expect(app.ready()).rejects.toMatchObject({ argument: 'prefix' })
      app = Fastify()
    },
  )

  it.each(['assets', 'assets/', 'assets/.', 'assets//', 'assets/%2f', 'assets/a.css/', '.'])(
    'have no file where the folder of the build has none: %s',
    async (path) => {
      app = Fastify()
      await app.register(roundsman, options())
      const { statusCode, headers } = await ask(null, { url: `/console/${path}` })
      const isPage = statusCode === 200 && headers['content-type'] === 'text/html; charset=utf-8'
      expect(isPage ? 'the page' : statusCode).toBe(/^assets./.test(path) ? 404 : 'the page')
    },
  )

  it.each([Number.NaN, 0, -1, 2 ** 31, Infinity, '5'])(
    'are pinged and checked at times that a timer can wait for, not %s',
    async (ms) => {
      for (const option of ['pingIntervalMs', 'recheckMs']) {
        app = Fastify()
        app.register(roundsman, options({ [option]: ms }))
        await expect(app.ready()).rejects.toThrow(
          `${option} must be a number from 1 to 2147483647, not ${typeof ms === 'string' ? `"${ms}"` : ms}`,
        )
      }
    },
  )

  it.each<[string, unknown]>(REFUSED)('are not served with the %s %o', async (option, value) => {
    app = Fastify()
    app.register(roundsman, options({ [option]: value }))
    await expect(app.ready()).rejects.toThrow(new RegExp(`^${option}(\\[|\\.| )`))
    expect(() => createNodeHandler(options({ [option]: value }) as never)).toThrow(
      new RegExp(`^${option}(\\[|\\.| )`),
    )
    app = Fastify()
  })

  it('are refused where they would lie nowhere', async () => {
    app = Fastify()
    app.register(roundsman, options({ apiPrefix: 'api/' }))
    await expect(app.ready()).rejects.toThrow('apiPrefix has to be a path such as /admin/jobs')
    app = Fastify()
    await app.register(roundsman, options({ consolePath: null }))
    expect((await ask('ada', { url: '/console' })).statusCode).toBe(404)
  })

  it('may be there twice on one host, each for its own people', async () => {
    app = Fastify()
    await app.register(roundsman, { ...options(), prefix: '/one' })
    await app.register(roundsman, {
      ...options({ jobs: [], authorize: () => ({ actor: 'x', view: true, act: false }) }),
      prefix: '/two',
    })
    expect((await ask(null, { url: '/one/api/jobs' })).statusCode).toBe(401)
    expect((await ask('ada', { url: '/one/api/jobs' })).json().jobs).toHaveLength(1)
    expect((await ask(null, { url: '/two/api/jobs' })).json().jobs).toHaveLength(0)
    expect((await ask(null, { url: '/two/api/console/access' })).json()).toEqual({
      actor: 'x',
      act: false,
      payloads: false,
    })
  })
})

describe('who may', () => {
  it('is asked before every change: who may only look is refused', async () => {
    const changes: string[] = []
    app = Fastify()
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat())
        if (!['GET', 'HEAD', 'OPTIONS'].includes(one)) changes.push(`${one} ${url}`)
    })
    await app.register(roundsman, options())
    expect(changes.length).toBeGreaterThan(10)
    for (const change of changes) {
      const [method = '', pattern = ''] = change.split(' ')
      const url = pattern.replace(':name', 'echo').replace(/:\w+/, crypto.randomUUID())
      const { statusCode } = await ask('bob', { method, url, payload: { reason: 'a test' } })
      expect([change, statusCode]).toEqual([change, 403])
    }
  })

  it('is nobody whom the host cannot name', async () => {
    app = Fastify()
    const authorize = () => ({ actor: '', view: true, act: true })
    await app.register(roundsman, options({ authorize }))
    expect((await ask('ada', { url: '/api/jobs' })).statusCode).toBe(500)
  })
})

describe('beside what a host has', () => {
  it('neither changes it nor is changed by it', async () => {
    app = Fastify()
    app.setErrorHandler((error, _request, reply) => {
      void reply.code(418).send({ mine: (error as Error).message })
    })
    app.setNotFoundHandler((_request, reply) => void reply.code(404).send({ mine: 'nothing' }))
    app.setValidatorCompiler(() => (data) => ({ value: { mine: data } }))
    app.setSerializerCompiler(() => () => JSON.stringify({ mine: 'serialized' }))
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) =>
      done(null, { mine: body }),
    )
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('x-host', 'here')
    })
    await app.register(roundsman, options())
    const schema = { body: { type: 'object' }, response: { 200: { type: 'object' } } } as const
    app.post<{ Body: { mine: unknown } }>('/own', { schema }, async ({ body }) => {
      if (JSON.stringify(body).includes('fail')) throw new Error('own failure')
      return body
    })

    const own = (payload: string) =>
      app.inject({ method: 'POST', url: '/own', headers: { 'content-type': 'text/x' }, payload })
    expect((await own('text')).json()).toEqual({ mine: 'serialized' })
    const failed = await own('fail')
    expect([failed.statusCode, failed.json()]).toEqual([418, { mine: 'own failure' }])
    expect((await app.inject('/nowhere')).json()).toEqual({ mine: 'nothing' })

    const answer = await pause('ada')
    expect([answer.statusCode, answer.headers['x-host']]).toEqual([202, 'here'])
    expect(answer.json()).toEqual({ workId: expect.any(String) })
    const invalid = await ask('ada', { url: '/api/jobs/runs?limit=0&of=me' })
    expect(invalid.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(invalid.json().errors).toEqual([
      { path: 'query.limit', message: 'has to be a whole number from 1 to 200' },
      { path: 'query.of', message: 'is unknown; leave it out' },
    ])
    const text = await ask('ada', {
      method: 'POST',
      url: '/api/jobs/echo/run',
      headers: { 'content-type': 'text/plain' },
      payload: 'reason',
    })
    expect(text.json()).toMatchObject({
      status: 415,
      detail: 'The content type of the body must be application/json',
    })
  })

  it('describes itself in the host’s OpenAPI document, if there is one', async () => {
    app = Fastify()
    const securitySchemes = { badge: { type: 'http', scheme: 'bearer' } } as const
    await app.register(swagger, { openapi: { openapi: '3.0.3', components: { securitySchemes } } })
    await app.register(roundsman, options({ security: [{ badge: [] }] }))
    await app.ready()
    const document = app.swagger() as unknown as {
      paths: Record<string, Record<string, Record<string, unknown>>>
    }
    expect(Object.keys(document.paths)).toContain('/api/jobs/runs/{id}')
    expect(Object.keys(document.paths)).not.toContain('/console')
    expect(document.paths['/api/jobs/runs']?.['get']).toMatchObject({
      security: [{ badge: [] }],
      parameters: expect.arrayContaining([
        expect.objectContaining({ in: 'query', name: 'status', required: false }),
      ]),
      responses: {
        200: { content: { 'application/json': { schema: { type: 'object' } } } },
        // A named reference, when a host in the same process has named the schema.
        401: { content: { 'application/problem+json': { schema: expect.anything() } } },
      },
    })
    expect(document.paths['/api/jobs/named/{name}/run']?.['post']).toMatchObject({
      requestBody: { content: { 'application/json': { schema: { type: 'object' } } } },
    })
  })

  it('refuses a client of another version', async () => {
    app = Fastify()
    app.register(roundsman, options({ client: { ...host.client, protocol: 0 as never } }))
    await expect(app.ready()).rejects.toThrow(
      'is 0 instead of 1): install the same version of both',
    )
    app = Fastify()
  })
})

describe('a client that nobody has started', () => {
  const clientOf = (more: { databaseUrl?: string; schema?: string }) =>
    createJobsClient({ databaseUrl: host.url, schema: 'public', log, ...more })

  it('is started, and keeps a server from starting whose tables are missing', async () => {
    const client = clientOf({ schema: 'nowhere' })
    app = Fastify()
    app.register(roundsman, options({ client }))
    await expect(app.ready()).rejects.toThrow('run npx roundsman migrate')
    await client.stop()
    app = Fastify()
  })

  it('keeps no server from starting whose database is away', async () => {
    const away = new URL(host.url)
    away.port = '1'
    const client = clientOf({ databaseUrl: away.href })
    app = Fastify()
    app.register(roundsman, options({ client }))
    await app.ready()
    expect((await ask(null, { url: '/api/jobs' })).statusCode).toBe(401)
    await client.stop()
  })
})
