import { createHash } from 'node:crypto'
import { expectInvalid, expectProblem, openForTests, UNKNOWN_ID } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

const api = openForTests(createTestApi)

function create(payload: object) {
  return api.as('staff', { method: 'POST', url: '/api/preview-sessions', payload })
}

function revoke(id: string) {
  return api.as('staff', { method: 'POST', url: `/api/preview-sessions/${id}/revoke` })
}

describe('create', () => {
  it('shows a token of 256 random bits once, and stores only its hash', async () => {
    const response = await create({ label: 'Acme', ttlSeconds: 90 })
    expect(response.statusCode).toBe(201)
    expect(response.headers['cache-control']).toBe('no-store')
    const { id, token, expiresAt } = response.json()
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(expiresAt).toBe('2026-11-24T09:01:30.000Z')
    expect(await api.prisma.previewSession.findUnique({ where: { id } })).toEqual({
      id,
      tokenHash: createHash('sha256').update(token).digest('hex'),
      label: 'Acme',
      status: 'active',
      revoked: false,
      expiresAt: new Date(expiresAt),
      createdAt: api.clock.now(),
    })
  })

  it('gives each session a token of its own', async () => {
    const payload = { label: 'Acme', ttlSeconds: 90 }
    const tokens = [await create(payload), await create(payload)].map((r) => r.json().token)
    expect(tokens[0]).not.toBe(tokens[1])
  })

  it('takes an instant instead, with any offset and in the past too', async () => {
    const response = await create({ label: 'Old', expiresAt: '2020-02-29T23:30:00.5+02:00' })
    expect(response.statusCode).toBe(201)
    expect(response.json().expiresAt).toBe('2020-02-29T21:30:00.500Z')
  })

  it('takes what is just within the limits', async () => {
    for (const payload of [
      { label: 'x'.repeat(200), ttlSeconds: 30 * 24 * 60 * 60 },
      { label: 'é', ttlSeconds: 1 },
      { label: 'Long ago', expiresAt: '0001-01-01T00:00:00Z' },
      { label: 'Far', expiresAt: '9999-12-31T23:59:59.999Z' },
    ]) {
      expect((await create(payload)).statusCode).toBe(201)
    }
  })

  const cases: [name: string, payload: object, paths: string[]][] = [
    ['neither end', { label: 'x' }, ['body']],
    ['both ends', { label: 'x', ttlSeconds: 5, expiresAt: '2027-01-01T00:00:00Z' }, ['body']],
    ['no label', { ttlSeconds: 5 }, ['body.label']],
    ['an empty label', { label: '', ttlSeconds: 5 }, ['body.label']],
    ['a long label', { label: 'x'.repeat(201), ttlSeconds: 5 }, ['body.label']],
    ['a label with NUL', { label: 'a\0b', ttlSeconds: 5 }, ['body.label']],
    ['no time at all', { label: 'x', ttlSeconds: 0 }, ['body.ttlSeconds']],
    ['a negative time', { label: 'x', ttlSeconds: -1 }, ['body.ttlSeconds']],
    ['half a second', { label: 'x', ttlSeconds: 0.5 }, ['body.ttlSeconds']],
    ['a time as text', { label: 'x', ttlSeconds: '60' }, ['body.ttlSeconds']],
    ['a long time', { label: 'x', ttlSeconds: 2_592_001 }, ['body.ttlSeconds']],
    ['a date', { label: 'x', expiresAt: '2027-01-01' }, ['body.expiresAt']],
    ['no offset', { label: 'x', expiresAt: '2027-01-01T00:00:00' }, ['body.expiresAt']],
    ['30 February', { label: 'x', expiresAt: '2027-02-30T00:00:00Z' }, ['body.expiresAt']],
    ['the year 0', { label: 'x', expiresAt: '0001-01-01T00:00:00+01:00' }, ['body.expiresAt']],
    ['the year 10000', { label: 'x', expiresAt: '9999-12-31T23:59:59-01:00' }, ['body.expiresAt']],
    ['an unknown member', { label: 'x', ttlSeconds: 5, token: 'mine' }, ['body.token']],
  ]
  for (const [name, payload, paths] of cases) {
    it(`refuses ${name}`, async () => expectInvalid(await create(payload), paths))
  }
})

describe('revoke', () => {
  it('marks the session, and says the same when it is done again', async () => {
    const { id } = (await create({ label: 'Acme', ttlSeconds: 90 })).json()
    for (const response of [await revoke(id), await revoke(id)]) {
      expect(response.statusCode).toBe(200)
      expect(response.json()).toEqual({ id, revoked: true })
    }
    expect(await api.prisma.previewSession.findUnique({ where: { id } })).toMatchObject({
      revoked: true,
      status: 'active',
    })
  })

  it('touches no other session', async () => {
    const other = (await create({ label: 'Other', ttlSeconds: 90 })).json()
    const { id } = (await create({ label: 'Acme', ttlSeconds: 90 })).json()
    await revoke(id)
    expect(await api.prisma.previewSession.findUnique({ where: { id: other.id } })).toMatchObject({
      revoked: false,
    })
  })

  it('does not find a session that never was', async () => {
    expectProblem(await revoke(UNKNOWN_ID), 404)
  })

  it('refuses what is not an id', async () => {
    expectInvalid(await revoke('1'), ['params.id'])
  })
})
