import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expectProblem, openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { buildApp } from '../src/app.ts'
import { createTestApi, JWT_SECRET, PASSWORD } from './createTestApi.ts'

const api = openForTests(createTestApi)

const login = { method: 'POST', url: '/api/auth/login' } as const

/**
 * Sends parts over a connection of its own, each after the answer to the one before, and resolves to all that comes
 * back.
 */
async function exchange(...parts: string[]): Promise<string> {
  if (!api.app.server.listening) await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = api.app.server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const [first = '', ...rest] = parts
  socket.write(first)
  let answer = ''
  for (const part of rest) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    answer += chunk.toString()
    socket.write(part)
  }
  return answer + (await text(socket))
}

describe('failures are problem documents', () => {
  it('for an address that does not exist', async () => {
    expectProblem(await api.app.inject('/nowhere'), 404)
  })

  it('for a method that an address does not have', async () => {
    expectProblem(await api.app.inject({ method: 'DELETE', url: '/api/auth/login' }), 404)
  })

  it('for JSON that is none', async () => {
    const headers = { 'content-type': 'application/json' }
    for (const payload of ['{"email":', '{"__proto__":{}}', '']) {
      expectProblem(await api.app.inject({ ...login, headers, payload }), 400)
    }
  })

  it('for a body that is too large', async () => {
    const payload = { email: 'a@example.com', password: 'x'.repeat(100_000) }
    expectProblem(await api.app.inject({ ...login, payload }), 413)
  })

  it('for a body that is not JSON', async () => {
    for (const contentType of ['text/plain', 'application/xml', 'nonsense']) {
      const headers = { 'content-type': contentType }
      expectProblem(await api.app.inject({ ...login, headers, payload: 'hello' }), 415)
    }
  })

  it('for an address that is not properly encoded or has too long a part', async () => {
    expectProblem(await api.app.inject('/api/public/preview/%E0%A4%A'), 400)
    expectProblem(await api.app.inject(`/api/public/preview/${'x'.repeat(600)}`), 414)
  })

  it('for what is not even HTTP', async () => {
    const answer = await exchange('NOT HTTP\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(answer).toContain('content-type: application/problem+json; charset=utf-8\r\n')
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status: 400 })
  })

  it('for what is no HTTP behind what was', async () => {
    const answer = await exchange(
      'GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n',
      `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('HTTP/1.1 431 Request Header Fields Too Large\r\n')
    expect(JSON.parse(answer.split('\r\n\r\n').at(-1) ?? '')).toMatchObject({ status: 431 })
  })

  it('for a request that does not say whom it is for', async () => {
    const answer = await exchange('GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(answer).toContain('content-type: application/problem+json; charset=utf-8\r\n')
    expect(answer).toContain('"detail":"The header Host is missing"')
    expect(await exchange('GET /health/live HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  it('for an error of ours, which is logged with the id of the request and shown to nobody', async () => {
    await api.prisma.$executeRaw`alter table "I18nCacheEntry" rename to "Elsewhere"`
    try {
      const response = await api.app.inject('/api/i18n/en/invoice.title')
      expectProblem(response, 500)
      expect(response.body).not.toMatch(/I18nCacheEntry|prisma|table/i)
      expect(api.log).toContainEqual(
        expect.objectContaining({
          level: 50,
          reqId: response.headers['x-request-id'],
          err: expect.objectContaining({ stack: expect.stringContaining('I18nCacheEntry') }),
        }),
      )
    } finally {
      await api.prisma.$executeRaw`alter table "Elsewhere" rename to "I18nCacheEntry"`
    }
  })
})

it('logs requests by their route, and neither tokens nor passwords', async () => {
  const created = await api.as('staff', {
    method: 'POST',
    url: '/api/preview-sessions',
    payload: { label: 'Acme', ttlSeconds: 60 },
  })
  const previewToken: string = created.json().token
  await api.app.inject(`/api/public/preview/${previewToken}`)
  await api.app.inject(`/api/public/preview/${previewToken}/`)
  await api.app.inject(`/api/public/preview/${previewToken}%E0%A4%A`)
  await api.app.inject(`/api/public/preview/${previewToken.repeat(20)}`)
  const payload = { email: 'staff@example.com', password: PASSWORD }
  const accessToken: string = (await api.app.inject({ ...login, payload })).json().token
  await api.app.inject({
    ...login,
    headers: { 'content-type': 'application/json' },
    payload: `{"password":"${PASSWORD}`,
  })
  await api.app.inject({ ...login, payload: { ...payload, email: PASSWORD } })
  await api.app.inject({ url: `/?x=${accessToken}`, headers: { authorization: accessToken } })

  const lines = JSON.stringify(api.log)
  expect(lines).toContain('"route":"/api/public/preview/:token"')
  expect(lines).not.toContain(previewToken)
  expect(lines).not.toContain(accessToken)
  expect(lines).not.toContain(PASSWORD)
})

it('logs a request with one line, once it is answered', async () => {
  const before = api.log.length
  await api.as('admin', { url: '/api/jobs/runs' })

  expect(api.log.slice(before).filter(({ level }) => Number(level) >= 30)).toMatchObject([
    {
      level: 30,
      msg: 'request completed',
      req: { method: 'GET', route: '/api/jobs/runs' },
      res: { statusCode: 200 },
      responseTime: expect.any(Number),
    },
  ])
})

it('takes no notice of an expectation that it does not know', async () => {
  const answer = await exchange(
    'GET /health/live HTTP/1.1\r\nhost: a\r\nexpect: tea\r\nconnection: close\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})

it('sets security headers, and lets a start without TLS work', async () => {
  const { headers } = await api.app.inject('/health/live')
  expect(headers['x-content-type-options']).toBe('nosniff')
  expect(headers['content-security-policy']).toContain("script-src 'self'")
  expect(headers['content-security-policy']).toContain("frame-ancestors 'self'")
  expect(headers['content-security-policy']).not.toContain('upgrade-insecure-requests')
})

describe('documentation', () => {
  it('describes every route with its answers, problems included', async () => {
    const { paths, components } = (await api.app.inject('/docs/json')).json()
    const described = Object.entries<Record<string, { responses: object }>>(paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(
          ([method, { responses }]) =>
            `${method.toUpperCase()} ${path}: ${Object.keys(responses).join(' ')}`,
        ),
    )
    expect(described.toSorted()).toEqual([
      'DELETE /api/console/session: 204 400 403 413 415 431 500',
      'DELETE /api/jobs/dead-letters/{workId}: 204 400 401 403 404 413 414 415 431 500 503',
      'DELETE /api/jobs/named/{name}/schedules/{key}: 204 400 401 403 404 413 414 415 431 500 503',
      'GET /api/console/access: 200 400 401 403 431 500 503',
      'GET /api/console/environment: 200 400 401 403 431 500 503',
      'GET /api/console/jobs/{name}/payload: 200 400 401 403 404 414 431 500 503',
      'GET /api/console/jobs/{name}: 200 400 401 403 404 414 431 500 503',
      'GET /api/console/jobs: 200 400 401 403 431 500 503',
      'GET /api/console/overview: 200 400 401 403 431 500 503',
      'GET /api/console/queue: 200 400 401 403 431 500 503',
      'GET /api/console/schedules/preview: 200 400 401 403 431 500 503',
      'GET /api/console/search: 200 400 401 403 431 500 503',
      'GET /api/console/session: 200 400 401 403 431 500',
      'GET /api/console/workers/{id}: 200 400 401 403 404 414 431 500 503',
      'GET /api/console/workers: 200 400 401 403 431 500 503',
      'GET /api/emails/{id}: 200 400 401 403 404 414 431 500',
      'GET /api/i18n/{locale}/{key}: 200 400 404 414 431 500',
      'GET /api/invoices/{id}/pdf: 200 202 304 400 401 403 404 409 414 431 500',
      'GET /api/invoices/{id}: 200 400 401 403 404 414 431 500',
      'GET /api/invoices: 200 400 401 403 431 500',
      'GET /api/jobs/dead-letters/causes: 200 400 401 403 431 500 503',
      'GET /api/jobs/dead-letters/groups: 200 400 401 403 431 500 503',
      'GET /api/jobs/dead-letters: 200 400 401 403 431 500 503',
      'GET /api/jobs/events: 200 400 401 403 431 500 503',
      'GET /api/jobs/limits: 200 400 401 403 431 500 503',
      'GET /api/jobs/named/{name}/key: 200 400 401 403 414 431 500 503',
      'GET /api/jobs/named/{name}/keys: 200 400 401 403 414 431 500 503',
      'GET /api/jobs/named/{name}/schedules/{key}/ticks: 200 400 401 403 414 431 500 503',
      'GET /api/jobs/named/{name}/schedules/{key}: 200 400 401 403 404 414 431 500 503',
      'GET /api/jobs/named/{name}/schedules: 200 400 401 403 414 431 500 503',
      'GET /api/jobs/named/{name}/ticks: 200 400 401 403 404 414 431 500 503',
      'GET /api/jobs/runs.csv: 200 400 401 403 431 500 503',
      'GET /api/jobs/runs/dead-letters: 200 400 401 403 431 500 503',
      'GET /api/jobs/runs/{id}: 200 400 401 403 404 414 431 500 503',
      'GET /api/jobs/runs: 200 400 401 403 431 500 503',
      'GET /api/jobs/work/groups: 200 400 401 403 431 500 503',
      'GET /api/jobs/work/{workId}/explain: 200 400 401 403 404 414 431 500 503',
      'GET /api/jobs/work: 200 400 401 403 431 500 503',
      'GET /api/jobs: 200 400 401 403 431 500 503',
      'GET /api/public/preview/{token}: 200 400 404 410 414 431 500',
      'GET /health/jobs: 200 400 431 500 503',
      'GET /health/live: 200 400 431 500',
      'GET /health/ready: 200 400 431 500 503',
      'POST /api/auth/login: 200 400 401 413 415 431 500 503',
      'POST /api/console/session: 200 400 401 403 413 415 431 500 503',
      'POST /api/invoices/{id}/email: 202 400 401 403 404 413 414 415 431 500 503',
      'POST /api/invoices/{id}/pdf: 202 400 401 403 404 413 414 415 431 500 503',
      'POST /api/invoices: 201 400 401 403 409 413 415 431 500 503',
      'POST /api/jobs/bulk: 200 400 401 403 413 415 431 500 503',
      'POST /api/jobs/dead-letters/{workId}/redrive: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/limits/{name}: 200 400 401 403 404 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/keys: 200 400 401 403 404 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/limit: 200 400 401 403 404 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/pause: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/queue/pause: 200 400 401 403 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/queue/resume: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/resume: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/run: 202 400 401 403 404 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/schedules/{key}/pause: 204 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/schedules/{key}/resume: 204 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/schedules/{key}/trigger: 202 400 401 403 404 413 414 415 431 500 503',
      'POST /api/jobs/named/{name}/schedules: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/runs/{id}/approve: 202 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/runs/{id}/cancel: 202 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/runs/{id}/payload: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/runs/{id}/run-again: 202 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/jobs/work/{workId}/payload: 200 400 401 403 404 409 413 414 415 431 500 503',
      'POST /api/preview-sessions/{id}/revoke: 200 400 401 403 404 413 414 415 431 500',
      'POST /api/preview-sessions: 201 400 401 403 413 415 431 500 503',
      'PUT /api/invoices/{id}: 200 400 401 403 404 409 413 414 415 431 500 503',
    ])
    expect(paths['/api/jobs/runs'].get.responses['403'].content).toEqual({
      'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
    })
    // A program that reads the document has to see the type to ask for.
    expect(Object.keys(paths['/api/jobs/events'].get.responses['200'].content)).toEqual([
      'text/event-stream',
    ])
    expect(Object.keys(paths['/api/jobs/runs.csv'].get.responses['200'].content)).toEqual([
      'text/csv',
    ])
    expect(components.schemas.Problem.required).toEqual(['type', 'title', 'status', 'detail'])
  })

  it('is there also when a route has no schema', async () => {
    const { prisma, jobsClient } = api
    const app = buildApp({ prisma, jobsClient, jobs: [], jwtSecret: JWT_SECRET })
    app.register(async (scope) => {
      scope.get('/plain', async () => 'hello')
    })
    const response = await app.inject('/docs/json')
    await app.close()
    expect(response.statusCode).toBe(200)
    expect(response.json().paths).toHaveProperty(['/plain'])
  })

  it('can be browsed', async () => {
    const page = await api.app.inject('/docs')
    expect(page.headers['content-type']).toContain('text/html')
    expect(page.body).toContain('swagger-ui')
    // The policy allows no inline script, so the page must not need one.
    expect(page.body).not.toMatch(/<script>/)
  })
})
