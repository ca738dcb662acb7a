import { expectProblem, openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

const api = openForTests(createTestApi)

async function create(end: object): Promise<{ id: string; token: string }> {
  const payload = { label: 'Acme', ...end }
  return (await api.as('staff', { method: 'POST', url: '/api/preview-sessions', payload })).json()
}

function validate(token: string) {
  return api.app.inject(`/api/public/preview/${token}`)
}

async function expectRefusal(token: string, status: number, reason: string): Promise<void> {
  const response = await validate(token)
  expectProblem(response, status)
  expect(response.json()).toMatchObject({ valid: false, reason })
  expect(response.headers['cache-control']).toBe('no-store')
}

it('accepts a token until the instant at which it expires', async () => {
  const start = api.clock.now()
  const { token } = await create({ ttlSeconds: 60 })
  api.clock.advance(59_999)
  const response = await validate(token)
  expect(response.statusCode).toBe(200)
  expect(response.headers['cache-control']).toBe('no-store')
  expect(response.json()).toEqual({
    valid: true,
    label: 'Acme',
    expiresAt: new Date(start.getTime() + 60_000).toISOString(),
  })
  api.clock.advance(1)
  await expectRefusal(token, 410, 'expired')
  api.clock.set(start)
})

it('refuses an expired session while the clean-up has not come by', async () => {
  const { id, token } = await create({ expiresAt: '2026-11-24T08:59:59.999Z' })
  await expectRefusal(token, 410, 'expired')
  expect(await api.prisma.previewSession.findUnique({ where: { id } })).toMatchObject({
    status: 'active',
  })
})

it('refuses a session once its status is expired', async () => {
  const { id, token } = await create({ ttlSeconds: 60 })
  await api.prisma.previewSession.update({ where: { id }, data: { status: 'expired' } })
  await expectRefusal(token, 410, 'expired')
})

it('refuses a revoked session at once, and says so whether it has expired or was cleaned up too', async () => {
  const { id, token } = await create({ ttlSeconds: 60 })
  await api.as('staff', { method: 'POST', url: `/api/preview-sessions/${id}/revoke` })
  await expectRefusal(token, 410, 'revoked')
  await api.prisma.previewSession.update({
    where: { id },
    data: { status: 'expired', expiresAt: new Date(0) },
  })
  await expectRefusal(token, 410, 'revoked')
})

it('does not know other tokens, also if they look odd', async () => {
  const { id, token } = await create({ ttlSeconds: 60 })
  const { tokenHash } = await api.prisma.previewSession.findUniqueOrThrow({ where: { id } })
  const odd = [
    `${token}x`,
    token.slice(1),
    token.toUpperCase(),
    tokenHash,
    id,
    '%00',
    '%F0%9F%90%98',
    "'",
  ]
  for (const other of odd) await expectRefusal(other, 404, 'unknown')
})
