import { openForTests } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

const api = openForTests(() => createTestApi({ eventsRecheckMs: 20 }))
let url: string

beforeAll(async () => {
  url = `${await api.app.listen({ port: 0, host: '127.0.0.1' })}/api/jobs/events`
})

afterAll(async () => {
  // A client may open a connection in advance, and close() would wait for that one.
  api.app.server.closeAllConnections()
})

const bearer = (id: string) => ({ authorization: `Bearer ${api.app.issueToken(id)}` })

it('is for admins, like what it tells of', async () => {
  const { staff, admin } = api.userIds
  expect((await fetch(url)).status).toBe(401)
  expect((await fetch(url, { headers: bearer(staff) })).status).toBe(403)
  const { status, headers, body } = await fetch(url, { headers: bearer(admin) })
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  expect(headers.get('cache-control')).toBe('no-store, no-transform')
  expect(headers.get('content-security-policy')).toContain("default-src 'self'")
  await body!.cancel()
})

describe('to somebody who may not follow it any more', () => {
  const changesOfUser = {
    demoted: (id: string) =>
      api.prisma.user.update({ where: { id }, data: { role: 'staff' as const } }),
    deleted: (id: string) => api.prisma.user.delete({ where: { id } }),
  }
  const proofs = {
    token: bearer,
    session: (id: string) => ({ cookie: `roundsman_session=${api.app.issueSession(id).token}` }),
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
      const stream = await fetch(url, { headers: proofs[proof](id) })
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
      const stream = await fetch(url, { headers: bearer(api.userIds.admin) })
      const reader = stream.body!.getReader()
      expect((await reader.read()).done).toBe(false)
      api.clock.advance(15 * 60_000 + 1_000)
      expect((await reader.read()).done).toBe(true)
    } finally {
      api.clock.set(start)
    }
  })
})
