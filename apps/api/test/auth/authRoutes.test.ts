// Not quick: hashes many passwords.
import { changePassword, hashPassword } from '@roundsman/db'
import { expectInvalid, expectProblem, openForTests } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { createTestApi, PASSWORD } from '../createTestApi.ts'

const api = openForTests(createTestApi)
beforeAll(async () => {
  // As in production; the other users' hashes are cheap.
  const passwordHash = await hashPassword(PASSWORD)
  await api.prisma.user.update({ where: { email: 'owner@example.com' }, data: { passwordHash } })
})

function logIn(payload: object) {
  return api.app.inject({ method: 'POST', url: '/api/auth/login', payload })
}

it('gives a token that works, and says who it is', async () => {
  const response = await logIn({ email: 'admin@example.com', password: PASSWORD })
  expect(response.statusCode).toBe(200)
  expect(response.headers['cache-control']).toBe('no-store')
  const { token, user } = response.json()
  expect(user).toEqual({ id: api.userIds.admin, email: 'admin@example.com', role: 'admin' })
  const headers = { authorization: `Bearer ${token}` }
  expect((await api.app.inject({ url: '/api/jobs/runs', headers })).statusCode).toBe(200)
})

it('puts the user and the times into the token, and nothing else', async () => {
  const response = await logIn({ email: 'owner@example.com', password: PASSWORD })
  const [header, payload] = (response.json().token as string)
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString())
  const iat = api.clock.now().getTime() / 1_000
  expect(JSON.parse(header ?? '')).toEqual({ alg: 'HS256', typ: 'JWT' })
  expect(JSON.parse(payload ?? '')).toEqual({
    sub: api.userIds.owner,
    iss: 'roundsman',
    iat,
    exp: iat + 900,
  })
})

it('takes an e-mail in any case', async () => {
  const response = await logIn({ email: 'STAFF@Example.com', password: PASSWORD })
  expect(response.json().user.email).toBe('staff@example.com')
})

it('answers a wrong password and an unknown e-mail alike', async () => {
  const wrong = await logIn({ email: 'owner@example.com', password: `${PASSWORD}!` })
  const unknown = await logIn({ email: 'nobody@example.com', password: PASSWORD })
  expectProblem(wrong, 401)
  expect(unknown.body).toBe(wrong.body)
  expect(wrong.headers['www-authenticate']).toBe('Bearer realm="roundsman"')
})

it('works as long for an unknown e-mail as for a wrong password', async () => {
  const wrong = await leastWorkOf(() => logIn({ email: 'owner@example.com', password: 'wrong' }))
  const unknown = await leastWorkOf(() => logIn({ email: 'nobody@example.com', password: 'wrong' }))
  const floor = await leastWorkOf(() => api.app.inject('/api/i18n/en/invoice.title'))
  // A hash takes a hundred milliseconds of the processor, all else a few: an answer without one would show.
  expect(unknown).toBeGreaterThan(wrong / 2)
  expect(unknown).toBeGreaterThan(floor * 2)
})

describe('refuses with the place that is wrong', () => {
  const good = { email: 'owner@example.com', password: PASSWORD }
  const cases: [name: string, payload: object, paths: string[]][] = [
    ['nothing', {}, ['body.email', 'body.password']],
    ['a list', [], ['body']],
    ['no e-mail', { ...good, email: 'owner' }, ['body.email']],
    ['a number', { ...good, email: 7 }, ['body.email']],
    ['a NUL', { ...good, email: 'owner@example.com\0' }, ['body.email']],
    ['a long e-mail', { ...good, email: `${'x'.repeat(250)}@example.com` }, ['body.email']],
    ['an empty password', { ...good, password: '' }, ['body.password']],
    ['a long password', { ...good, password: 'x'.repeat(201) }, ['body.password']],
    ['more than it takes', { ...good, role: 'owner' }, ['body.role']],
  ]
  for (const [name, payload, paths] of cases) {
    it(name, async () => expectInvalid(await logIn(payload), paths))
  }
})

/** Microseconds of this process on the processors, which a busy machine does not stretch as it stretches the time. */
async function leastWorkOf(work: () => Promise<unknown>): Promise<number> {
  const taken: number[] = []
  for (let i = 0; i < 2; i += 1) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    taken.push(user + system)
  }
  return Math.min(...taken)
}

it('ends the log-ins of an earlier password, of browsers too, and of nobody else', async () => {
  const ask = async (headers: Record<string, string>) =>
    (await api.app.inject({ url: '/api/jobs/runs', headers })).statusCode
  const credentials = { email: 'owner@example.com', password: PASSWORD }
  const session = await api.app.inject({
    method: 'POST',
    url: '/api/console/session',
    payload: credentials,
  })
  const cookie = String(session.headers['set-cookie']).split(';')[0] ?? ''
  const logins = [
    { authorization: `Bearer ${(await logIn(credentials)).json().token}` },
    { cookie },
    {
      authorization: `Bearer ${(await logIn({ ...credentials, email: 'admin@example.com' })).json().token}`,
    },
  ]
  expect(await Promise.all(logins.map(ask))).toEqual([200, 200, 200])
  await changePassword(api.prisma, 'OWNER@example.com', 'another long password')
  // The database's clock is not that of the test.
  const changedAt = new Date(api.clock.now().getTime() + 1_000)
  await api.prisma.user.updateMany({
    where: { passwordChangedAt: { not: null } },
    data: { passwordChangedAt: changedAt },
  })
  expect(await Promise.all(logins.map(ask))).toEqual([401, 401, 200])
  expect((await logIn(credentials)).statusCode).toBe(401)
  api.clock.set(changedAt)
  const { token } = (await logIn({ ...credentials, password: 'another long password' })).json()
  expect(await ask({ authorization: `Bearer ${token}` })).toBe(200)
})

it('tells those who come while many log in to come again', async () => {
  const payload = { email: 'admin@example.com', password: 'wrong' }
  // A fifth of what a password takes otherwise, and still far longer than asking for the user.
  const passwordHash = `$scrypt$ln=14,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  await api.prisma.user.update({ where: { email: payload.email }, data: { passwordHash } })
  const answers = await Promise.all(Array.from({ length: 40 }, () => logIn(payload)))
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  expect(refused.length).toBeGreaterThan(0)
  for (const answer of refused) {
    expectProblem(answer, 503)
    expect(answer.headers['retry-after']).toBe('5')
  }
  expect(answers.every(({ statusCode }) => [401, 503].includes(statusCode))).toBe(true)
})
