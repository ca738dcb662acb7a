import { createMetrics } from '@roundsman/node-app/telemetry'
import { expectProblem } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '../createTestApi.ts'

const token = 'a token of sixteen or more'

let api: TestApi
beforeAll(async () => {
  const metrics = createMetrics({ app: 'api', version: '1' })
  api = await createTestApi({ metrics: { metrics, token } })
})
afterAll(() => api.close())

const scrape = (authorization?: string) =>
  api.app.inject({ url: '/metrics', headers: { ...(authorization && { authorization }) } })

it('are there for whoever has the token', async () => {
  const response = await scrape(`Bearer ${token}`)
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-type']).toContain('text/plain; version=0.0.4')
  expect(response.headers['cache-control']).toBe('no-store')
})

it('are refused to others, an owner of the product included', async () => {
  for (const wrong of [undefined, token, 'Bearer x', `Bearer ${token}x`]) {
    const response = await scrape(wrong)
    expectProblem(response, 401)
    expect(response.headers['www-authenticate']).toBe('Bearer')
  }
  expectProblem(await api.as('owner', { url: '/metrics' }), 401)
})

it('measure requests by the pattern of their route, never by the address', async () => {
  await api.app.inject('/api/public/preview/hunter2-is-my-token')
  await api.app.inject('/nowhere/hunter2')
  const { body } = await scrape(`Bearer ${token}`)
  const count = (labels: string) =>
    new RegExp(`^http_request_duration_seconds_count\\{app="api",${labels}\\} (\\d+)$`, 'm').exec(
      body,
    )?.[1]
  expect(count('method="GET",route="/api/public/preview/:token",status_code="404"')).toBe('1')
  expect(count('method="GET",route="none",status_code="404"')).toBe('1')
  expect(body).not.toContain('hunter2')
})

it('are not there where no token is set', async () => {
  const other = await createTestApi()
  try {
    expectProblem(await other.app.inject('/metrics'), 404)
  } finally {
    await other.close()
  }
})
