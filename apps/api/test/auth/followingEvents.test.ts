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

describe('to somebody who may not follow it any more', () => {
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
