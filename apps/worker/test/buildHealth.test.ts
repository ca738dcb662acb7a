import { createMetrics } from '@roundsman/node-app/telemetry'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { buildHealth, type HealthOptions } from '../src/buildHealth.ts'

const metrics = createMetrics({ app: 'worker', version: '1.2.3' })

function openHealth(options: Partial<HealthOptions> = {}) {
  const app = buildHealth({
    isReady: () => false,
    metrics,
    metricsToken: undefined,
    host: '127.0.0.1',
    ...options,
  })
  onTestFinished(() => app.close())
  return app
}

async function ask(app: ReturnType<typeof openHealth>, url: string) {
  const response = await app.inject(url)
  return { code: response.statusCode, body: response.json<unknown>() }
}

it('is live whether it can work or not', async () => {
  expect(await ask(openHealth(), '/health/live')).toEqual({ code: 200, body: { status: 'ok' } })
})

it('is ready while it can work', async () => {
  let isReady = true
  const app = openHealth({ isReady: () => isReady })

  expect(await ask(app, '/health/ready')).toEqual({ code: 200, body: { status: 'ok' } })
  isReady = false
  expect(await ask(app, '/health/ready')).toEqual({ code: 503, body: { status: 'unavailable' } })
})

describe('metrics', () => {
  const metricsToken = 'a token of sixteen or more'
  const scrape = (app: ReturnType<typeof openHealth>, authorization?: string) =>
    app.inject({ url: '/metrics', headers: { ...(authorization && { authorization }) } })

  it('are for this machine alone, as long as no token is set', async () => {
    for (const host of ['127.0.0.1', 'localhost', '::1']) {
      const response = await scrape(openHealth({ host }))
      expect(response.statusCode).toBe(200)
      expect(response.headers['content-type']).toContain('text/plain; version=0.0.4')
      expect(response.body).toContain('roundsman_build_info{version="1.2.3"')
    }
    for (const host of ['0.0.0.0', '::', '192.0.2.1', '127.example.com']) {
      expect((await scrape(openHealth({ host }))).statusCode).toBe(404)
    }
  })

  it('are for whoever has the token, once one is set', async () => {
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const app = openHealth({ host, metricsToken })
      expect((await scrape(app, `Bearer ${metricsToken}`)).statusCode).toBe(200)
      for (const wrong of [undefined, metricsToken, `Bearer ${metricsToken}x`, 'Bearer ']) {
        const refused = await scrape(app, wrong)
        expect(refused.statusCode).toBe(401)
        expect(refused.headers['www-authenticate']).toBe('Bearer')
        expect(refused.body).not.toContain('roundsman_')
      }
    }
  })
})

it('does not wait for a request that does not come to its end', async () => {
  const app = openHealth({ timeouts: { headersMs: 100, requestMs: 100, checkEveryMs: 20 } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1')
  socket.write('GET /health/live HTTP/1.1\r\nhost: a\r\nx-some: th')
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /)
  const { server } = openHealth()
  const { requestTimeout, headersTimeout, timeout } = server
  expect([requestTimeout, headersTimeout, timeout]).toEqual([30_000, 15_000, 120_000])
})
