import type { LightMyRequestResponse } from 'fastify'
import { emptyTables, expectProblem, openForTests, QUEUE } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestApi, PASSWORD } from '../createTestApi.ts'

const api = openForTests(createTestApi)

beforeEach(async () => {
  await emptyTables(api.prisma, `"JobRun", "JobClaim", "JobTick", "JobSchedule", ${QUEUE}`)
})

const URL = '/api/console/session'
function logIn(email: string, password = PASSWORD, headers: Record<string, string> = {}) {
  return api.app.inject({ method: 'POST', url: URL, payload: { email, password }, headers })
}

function cookieOf(response: LightMyRequestResponse) {
  const cookie = response.cookies.find(({ name }) => name === 'roundsman_session')
  if (!cookie) throw new Error('There is no session')
  return { ...cookie, header: `${cookie.name}=${cookie.value}` }
}

async function openSession(email = 'admin@example.com') {
  const response = await logIn(email)
  return { cookie: cookieOf(response).header, csrf: String(response.json().csrfToken) }
}

describe('logging in to the console', () => {
  it.each(['admin', 'owner'])(
    'takes an %s, and hands out no token that a script could read',
    async (role) => {
      const response = await logIn(`${role}@example.com`)
      expect(response.statusCode).toBe(200)
      const cookie = cookieOf(response)
      expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' })
      expect(cookie.secure).toBeUndefined()
      expect(response.json()).toEqual({
        user: { id: expect.any(String), email: `${role}@example.com`, role },
        csrfToken: expect.any(String),
      })
      expect(response.body).not.toContain(cookie.value)
    },
  )

  it('over TLS, keeps the cookie to TLS', async () => {
    const response = await logIn('admin@example.com', PASSWORD, { 'x-forwarded-proto': 'https' })
    expect(cookieOf(response).secure).toBe(true)
  })

  it('refuses staff, and sets nothing', async () => {
    const response = await logIn('staff@example.com')
    expect(expectProblem(response, 403).detail).toBe('The console is for admins and owners')
    expect(response.cookies).toEqual([])
  })

  it('works while an old session is still there', async () => {
    const { cookie } = await openSession()
    expect((await logIn('owner@example.com', PASSWORD, { cookie })).statusCode).toBe(200)
  })
})

describe('a session', () => {
  it('says whose it is, and gives out its csrf token again', async () => {
    const { cookie, csrf } = await openSession()
    const response = await api.app.inject({ method: 'GET', url: URL, headers: { cookie } })
    expect(response.json()).toMatchObject({
      user: { email: 'admin@example.com', role: 'admin' },
      csrfToken: csrf,
    })
  })

  it('is closed by logging out', async () => {
    const { cookie, csrf } = await openSession()
    const headers = { cookie, 'x-csrf-token': csrf }
    const response = await api.app.inject({ method: 'DELETE', url: URL, headers })
    expect(response.statusCode).toBe(204)
    expect(cookieOf(response)).toMatchObject({ value: '', expires: new Date(0) })
  })
})
