import { expect, it, onTestFinished } from 'vitest'
import { buildHealth } from '../src/health.ts'

function openHealth(isReady: () => boolean) {
  const app = buildHealth({ isReady })
  onTestFinished(() => app.close())
  return async (url: string) => {
    const response = await app.inject(url)
    return { code: response.statusCode, body: response.json<unknown>() }
  }
}

it('is live whether it can work or not', async () => {
  const get = openHealth(() => false)

  expect(await get('/health/live')).toEqual({ code: 200, body: { status: 'ok' } })
})

it('is ready while it can work', async () => {
  let isReady = true
  const get = openHealth(() => isReady)

  expect(await get('/health/ready')).toEqual({ code: 200, body: { status: 'ok' } })
  isReady = false
  expect(await get('/health/ready')).toEqual({ code: 503, body: { status: 'unavailable' } })
})
