// Not quick: asks every route as everybody.
import type { Role } from '@roundsman/db'
import { createHmac } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectProblem, listQueue, UNKNOWN_ID } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApi, JWT_SECRET, type TestApi } from '../createTestApi.ts'

const MINUTE_MS = 60_000

let api: TestApi
let baseUrl: string
let consoleDir: string
let onAdmitted = () => {}
/** Users who used both their token and their session while they were admins. */
let formerAdmins: Record<'demoted' | 'deleted', Tokens>

beforeAll(async () => {
  consoleDir = await mkdtemp(join(tmpdir(), 'roundsman-console-'))
  await mkdir(join(consoleDir, 'assets'))
  await writeFile(join(consoleDir, 'index.html'), '<!doctype html>')
  await writeFile(join(consoleDir, 'assets/main.js'), '')
  api = await createTestApi({ consoleDir, onAdmitted: () => onAdmitted() })
  baseUrl = await api.app.listen({ port: 0, host: '127.0.0.1' })
  formerAdmins = { demoted: await makeFormerAdmin(), deleted: await makeFormerAdmin() }
  const { prisma } = api
  const { demoted, deleted } = formerAdmins
  await prisma.user.update({ where: { id: demoted.userId }, data: { role: 'staff' } })
  await prisma.user.delete({ where: { id: deleted.userId } })
  await prisma.$executeRaw`insert into "JobQueue" ("name", "pausedBy") values ('pausedBefore', 'a')`
})
afterAll(async () => {
  await api.close()
  await rm(consoleDir, { recursive: true, force: true })
})

interface Row {
  /** Who may ask: users with this role or a higher one. */
  from: 'anyone' | Role
  /** The status that those who may ask get. */
  answer: number
  /** The address, for a route with parameters. */
  url?: string
  body?: object
  /** Set for a route that ignores sessions, such as the one to log in. */
  ignoresSessions?: true
  /** Set for a route about sessions, where a token does not serve. */
  onlyBySession?: true
}

const reason = { reason: 'why' }
const invoice = {
  customer: { name: 'Example GmbH', address: [] },
  currency: 'EUR',
  locale: 'de-DE',
  lines: [{ description: 'Work', quantity: 1, unitPriceMinor: 100, taxRateBasisPoints: 1900 }],
}
const admin = (answer: number, more: Partial<Row> = {}): Row => ({ from: 'admin', answer, ...more })
const owner = (answer: number, more: Partial<Row> = {}): Row => ({ from: 'owner', answer, ...more })
const staff = (answer: number, more: Partial<Row> = {}): Row => ({ from: 'staff', answer, ...more })
const anyone = (answer: number, more: Partial<Row> = {}): Row => ({
  from: 'anyone',
  answer,
  ...more,
})

/** Every route of the API. One that is missing here fails below. */
const ROWS: Record<string, Row> = {
  // An invalid body: 400 shows that the route is reached, without hashing a password for each caller.
  'POST /api/auth/login': anyone(400, { body: {}, ignoresSessions: true }),
  'GET /api/public/preview/:token': anyone(404, { url: '/api/public/preview/unknown' }),
  'GET /api/i18n/:locale/:key': anyone(200, { url: '/api/i18n/en/invoice.title' }),

  'POST /api/preview-sessions': staff(201, { body: { label: 'Acme', ttlSeconds: 60 } }),
  'POST /api/preview-sessions/:id/revoke': staff(404),
  'GET /api/invoices': staff(200),
  'POST /api/invoices': staff(201, { body: invoice }),
  'GET /api/invoices/:id': staff(404),
  'PUT /api/invoices/:id': staff(404, { body: { ...invoice, version: 1 } }),
  'GET /api/invoices/:id/pdf': staff(404),
  'POST /api/invoices/:id/pdf': staff(404),
  'POST /api/invoices/:id/email': staff(404, { body: {} }),
  'GET /api/emails/:id': staff(404),

  'GET /api/jobs': admin(200),
  'GET /api/jobs/runs': admin(200),
  'GET /api/jobs/runs.csv': admin(200),
  'GET /api/jobs/runs/:id': admin(404),
  'GET /api/jobs/runs/dead-letters': admin(200),
  'POST /api/jobs/runs/:id/cancel': admin(404, { body: reason }),
  'POST /api/jobs/runs/:id/run-again': admin(404, { body: reason }),
  'POST /api/jobs/runs/:id/approve': admin(404, { body: reason }),
  'POST /api/jobs/runs/:id/payload': owner(404),
  'POST /api/jobs/work/:workId/payload': owner(404),
  'POST /api/jobs/work/:workId/steps/payload': owner(404, { body: { step: 'pay' } }),
  'POST /api/jobs/work/:workId/run-again': admin(404, { body: reason }),
  'GET /api/jobs/events': admin(200),
  'GET /api/jobs/named/:name/ticks': admin(200),
  'POST /api/jobs/named/:name/run': admin(202, { body: reason }),
  // 404, because no worker has started with this job.
  'POST /api/jobs/named/:name/pause': admin(404, { body: reason }),
  'POST /api/jobs/named/:name/resume': admin(404),
  'GET /api/jobs/dead-letters': admin(200),
  'GET /api/jobs/dead-letters/causes': admin(200),
  'GET /api/jobs/dead-letters/groups': admin(200),
  'POST /api/jobs/dead-letters/:workId/redrive': admin(404, { body: reason }),
  'DELETE /api/jobs/dead-letters/:workId': admin(404),
  'GET /api/jobs/named/:name/schedules': admin(200),
  'POST /api/jobs/named/:name/schedules': admin(404, {
    url: '/api/jobs/named/nothing/schedules',
    body: { ...reason, key: 'one', cron: '0 9 * * 1', ifVersion: 0 },
  }),
  'GET /api/jobs/named/:name/schedules/:key': admin(404),
  'GET /api/jobs/named/:name/schedules/:key/ticks': admin(200),
  'POST /api/jobs/named/:name/schedules/:key/pause': admin(404, { body: reason }),
  'POST /api/jobs/named/:name/schedules/:key/resume': admin(404),
  'POST /api/jobs/named/:name/schedules/:key/trigger': admin(404, { body: reason }),
  'DELETE /api/jobs/named/:name/schedules/:key': admin(404, { body: reason }),
  'POST /api/jobs/bulk': admin(200, { body: { ...reason, kind: 'cancelWork', all: true } }),
  'GET /api/jobs/work': admin(200),
  'GET /api/jobs/work/groups': admin(200),
  'GET /api/jobs/work/:workId/explain': admin(404),
  'GET /api/jobs/work/:workId/steps': admin(404),
  'POST /api/jobs/work/:workId/steps/answer': admin(404, {
    body: { ...reason, step: 'charge', happened: true },
  }),
  'GET /api/jobs/work/:workId/steps/children': admin(404, {
    url: `/api/jobs/work/${UNKNOWN_ID}/steps/children?step=parts`,
  }),
  'POST /api/jobs/signals': admin(200, { body: { ...reason, signal: 'approved', key: 'k' } }),
  'GET /api/jobs/limits': admin(200),
  'POST /api/jobs/limits/:name': admin(404, { body: { global: 1, reason: 'why' } }),
  'POST /api/jobs/named/:name/limit': admin(404, { body: { global: null, reason: 'why' } }),
  'GET /api/jobs/named/:name/keys': admin(200),
  'GET /api/jobs/named/:name/key': admin(200, { url: '/api/jobs/named/nothing/key?key=k' }),
  'POST /api/jobs/named/:name/keys': admin(404, { body: { key: 'k', perKey: 2, reason: 'why' } }),
  'POST /api/jobs/named/:name/queue/pause': admin(409, {
    url: '/api/jobs/named/pausedBefore/queue/pause',
    body: reason,
  }),
  'POST /api/jobs/named/:name/queue/resume': admin(404, {
    url: '/api/jobs/named/neverPaused/queue/resume',
  }),

  'POST /api/console/session': anyone(400, { body: {}, ignoresSessions: true }),
  'GET /api/console/session': admin(200, { onlyBySession: true }),
  'DELETE /api/console/session': anyone(204),
  'GET /api/console/access': admin(200),
  'GET /api/console/environment': admin(200),
  'GET /api/console/overview': admin(200),
  'GET /api/console/jobs': admin(200),
  'GET /api/console/jobs/:name': admin(200),
  'GET /api/console/jobs/:name/payload': admin(200),
  'GET /api/console/schedules/preview': admin(200, {
    url: '/api/console/schedules/preview?cron=0+9+*+*+1',
  }),
  'GET /api/console/queue': admin(200),
  'GET /api/console/workers': admin(200),
  'GET /api/console/search': admin(200, { url: '/api/console/search?q=sheep' }),

  // Tells nothing: the page asks whoever opens it to log in.
  'GET /console': anyone(200),
  'GET /console/*': anyone(200, { url: '/console/jobs' }),
  'GET /docs': anyone(200),
  'GET /docs/json': anyone(200),
  'GET /docs/yaml': anyone(200),
  'GET /docs/static/*': anyone(200, { url: '/docs/static/swagger-ui.css' }),
  'GET /docs/static/index.html': anyone(200),
  'GET /docs/static/swagger-initializer.js': anyone(200),
  'GET /health/jobs': anyone(503),
  'GET /health/live': anyone(200),
  'GET /health/ready': anyone(200),
}

// Operations on a job have the shorter address of earlier versions as well.
for (const [route, row] of Object.entries(ROWS)) {
  const pattern = route.replace('/jobs/named/', '/jobs/')
  if (pattern !== route)
    ROWS[pattern] = { ...row, ...(row.url && { url: row.url.replace('/jobs/named/', '/jobs/') }) }
}

interface Tokens {
  userId: string
  token: string
  session: string
}

interface Column {
  headers: () => Record<string, string>
  /** Whom the API has to take the caller for. */
  is: Role | 'nobody' | 'unknown'
  bySession?: true
  hasNoCsrf?: true
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const cookie = (session: string) => ({ cookie: `roundsman_session=${session}` })
const bySession = (session: string) => ({
  ...cookie(session),
  'x-csrf-token': api.app.csrfTokenOf(session),
})
const tokenOf = (role: Role) => api.app.issueToken(api.userIds[role])
const sessionOf = (role: Role) => api.app.issueSession(api.userIds[role]).token

const forged = (make: () => string): Column => ({ headers: () => bearer(make()), is: 'unknown' })
const forgedSession = (make: () => string): Column => ({
  headers: () => bySession(make()),
  is: 'unknown',
  bySession: true,
})

/** Everybody who may ask. */
const COLUMNS: Record<string, Column> = {
  nobody: { headers: () => ({}), is: 'nobody' },
  staff: { headers: () => bearer(tokenOf('staff')), is: 'staff' },
  admin: { headers: () => bearer(tokenOf('admin')), is: 'admin' },
  owner: { headers: () => bearer(tokenOf('owner')), is: 'owner' },
  // A well-formed one passes, so the forged ones below fail for what they forge.
  'owner, the token written by hand': { headers: () => bearer(forge({})), is: 'owner' },
  demoted: { headers: () => bearer(formerAdmins.demoted.token), is: 'staff' },
  deleted: forged(() => formerAdmins.deleted.token),
  expired: forged(() => inThePast(15, () => tokenOf('owner'))),
  'algorithm none': forged(() => forge({ header: { alg: 'none', typ: 'JWT' }, signature: '' })),
  'algorithm none, signed': forged(() => forge({ header: { alg: 'none', typ: 'JWT' } })),
  'no signature': forged(() => forge({ signature: '' })),
  'another secret': forged(() => forge({ secret: `${JWT_SECRET}.` })),
  'tampered payload': forged(() => tamper(tokenOf('staff'))),
  HS512: forged(() => forge({ header: { alg: 'HS512', typ: 'JWT' }, hash: 'sha512' })),
  HS384: forged(() => forge({ header: { alg: 'HS384', typ: 'JWT' }, hash: 'sha384' })),
  'another issuer': forged(() => forge({ payload: claims({ iss: 'another' }) })),
  'no issuer': forged(() => forge({ payload: claims({ iss: undefined }) })),
  'no end': forged(() => forge({ payload: claims({ exp: undefined }) })),
  'no user': forged(() => forge({ payload: claims({ sub: undefined }) })),
  'a user that is no id': forged(() => forge({ payload: claims({ sub: 'owner' }) })),
  'a user who never was': forged(() => forge({ payload: claims({ sub: UNKNOWN_ID }) })),
  'no token at all': forged(() => 'owner'),
  'a session as a token': forged(() => sessionOf('owner')),
  'not Bearer': { headers: () => ({ authorization: `Basic ${forge({})}` }), is: 'nobody' },
  'no scheme': { headers: () => ({ authorization: forge({}) }), is: 'nobody' },
  'more than a token': { headers: () => bearer(`${forge({})} x`), is: 'nobody' },

  'session of staff': {
    headers: () => bySession(sessionOf('staff')),
    is: 'staff',
    bySession: true,
  },
  'session of admin': {
    headers: () => bySession(sessionOf('admin')),
    is: 'admin',
    bySession: true,
  },
  'session of owner': {
    headers: () => bySession(sessionOf('owner')),
    is: 'owner',
    bySession: true,
  },
  'session of demoted': {
    headers: () => bySession(formerAdmins.demoted.session),
    is: 'staff',
    bySession: true,
  },
  'session of deleted': forgedSession(() => formerAdmins.deleted.session),
  'session expired': forgedSession(() => inThePast(8 * 60, () => sessionOf('owner'))),
  'session of another secret': forgedSession(() =>
    forge({ payload: claims({ use: 'session' }), secret: `${JWT_SECRET}.` }),
  ),
  'session with algorithm none': forgedSession(() =>
    forge({ header: { alg: 'none' }, payload: claims({ use: 'session' }), signature: '' }),
  ),
  'session tampered with': forgedSession(() => tamper(sessionOf('staff'))),
  'a token as a session': forgedSession(() => tokenOf('owner')),
  'session without csrf token': {
    headers: () => cookie(sessionOf('owner')),
    is: 'owner',
    bySession: true,
    hasNoCsrf: true,
  },
  'session with the csrf token of another': {
    headers: () => ({ ...bySession(sessionOf('admin')), ...cookie(sessionOf('owner')) }),
    is: 'owner',
    bySession: true,
    hasNoCsrf: true,
  },
  // The token says who asks, and needs no CSRF token: no browser sends it by itself.
  'token of staff beside a session of owner': {
    headers: () => ({ ...cookie(sessionOf('owner')), ...bearer(tokenOf('staff')) }),
    is: 'staff',
  },
}

const RANK = { anyone: 0, staff: 1, admin: 2, owner: 3 }

/** What the table expects: the status, and for 401 whether a token was sent and found invalid. */
function expectation(method: string, row: Row, { is, bySession: viaSession, hasNoCsrf }: Column) {
  const changes = !['GET', 'HEAD'].includes(method)
  if (changes && hasNoCsrf && !row.ignoresSessions) return '403'
  if (row.from === 'anyone') return String(row.answer)
  if (is === 'nobody') return '401'
  if (is === 'unknown') return '401 invalid_token'
  if (RANK[is] < RANK[row.from]) return '403'
  return row.onlyBySession && !viaSession ? '401' : String(row.answer)
}

async function ask(method: string, url: string, row: Row, column: Column): Promise<string> {
  const abort = new AbortController()
  const response = await fetch(`${baseUrl}${url}`, {
    method,
    signal: abort.signal,
    headers: { ...column.headers(), ...(row.body && { 'content-type': 'application/json' }) },
    ...(row.body && { body: JSON.stringify(row.body) }),
  })
  const { status, headers } = response
  const type = headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream')) {
    // This answer does not end by itself.
    abort.abort()
  } else {
    await response.arrayBuffer()
  }
  if (status >= 400 && !type.startsWith('application/problem+json')) return `${status} ${type}`
  if (status !== 401) return String(status)
  const challenge = headers.get('www-authenticate')
  switch (challenge) {
    case 'Bearer realm="roundsman"':
      return '401'
    case 'Bearer realm="roundsman", error="invalid_token"':
      return '401 invalid_token'
    default:
      return `401 ${challenge}`
  }
}

const NO_HEAD = new Set(['GET /api/jobs/events'])
/** HEAD is GET without the content, so the same callers may ask. */
const requests = Object.entries(ROWS).flatMap(([route, row]) => {
  const [method = '', pattern = ''] = route.split(' ')
  const url =
    row.url ?? pattern.replace(':name', 'cleanupI18nCache').replace(/:(id|workId)/, UNKNOWN_ID)
  const methods = method === 'GET' && !NO_HEAD.has(route) ? ['GET', 'HEAD'] : [method]
  return methods.map((asked) => ({ name: `${asked} ${pattern}`, method: asked, url, row }))
})

const ownRoutesWithBody = requests.filter(
  ({ url, row }) => row.body && row.from === 'staff' && !url.startsWith('/api/jobs'),
)

it.each(ownRoutesWithBody)(
  '$name refuses who was deleted while they held its body back',
  async ({ method, url, row }) => {
    const { userId, token } = await makeFormerAdmin()
    const body = new TransformStream<Uint8Array, Uint8Array>()
    const writer = body.writable.getWriter()
    const admitted = Promise.withResolvers<void>()
    onAdmitted = admitted.resolve
    const answer = fetch(`${baseUrl}${url}`, {
      method,
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: body.readable,
      duplex: 'half',
    })
    const text = JSON.stringify(row.body)
    // A client sends nothing before there is something of a body.
    await writer.write(Buffer.from(text.slice(0, 1)))
    await admitted.promise
    await api.prisma.user.delete({ where: { id: userId } })
    await writer.write(Buffer.from(text.slice(1)))
    await writer.close()
    expect((await answer).status).toBe(401)
  },
)

describe('who may ask what', () => {
  it.each(requests)('$name', async ({ method, url, row }) => {
    const columns = Object.entries(COLUMNS)
    const answers = await Promise.all(
      columns.map(async ([name, column]) => [name, await ask(method, url, row, column)]),
    )
    expect(Object.fromEntries(answers)).toEqual(
      Object.fromEntries(columns.map(([name, column]) => [name, expectation(method, row, column)])),
    )
  })

  it('is said of every route', () => {
    const said = requests.map(({ name }) => name)
    // A page that answers with and without a slash at its end is one route.
    const routes = new Set(api.routes.map((route) => route.replace(/\/$/, '')))
    expect([...routes].toSorted()).toEqual(said.toSorted())
  })
})

const HS256 = { alg: 'HS256', typ: 'JWT' }

/** A token as anybody can write one, signed by hand so that it does not depend on the code under test. */
function forge(options: {
  header?: object
  payload?: object
  secret?: string
  hash?: string
  signature?: string
}): string {
  const { header = HS256, payload = claims(), secret = JWT_SECRET, hash = 'sha256' } = options
  const input = `${encode(header)}.${encode(payload)}`
  const signature = options.signature ?? createHmac(hash, secret).update(input).digest('base64url')
  return `${input}.${signature}`
}

function claims(changes: object = {}): object {
  const iat = Math.floor(api.clock.now().getTime() / 1_000)
  return { sub: api.userIds.owner, iss: 'roundsman', iat, exp: iat + 900, ...changes }
}

/** The same header and signature around another user. */
function tamper(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const said = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  return `${header}.${encode({ ...said, sub: api.userIds.owner })}.${signature}`
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

/** Makes something by a clock that is so many minutes and a second in the past. */
function inThePast(minutes: number, make: () => string): string {
  const now = api.clock.now()
  api.clock.set(new Date(now.getTime() - minutes * MINUTE_MS - 1_000))
  try {
    return make()
  } finally {
    api.clock.set(now)
  }
}

async function makeFormerAdmin(): Promise<Tokens> {
  const { id: userId } = await api.prisma.user.create({
    data: { email: `${crypto.randomUUID()}@example.com`, role: 'admin', passwordHash: 'unused' },
  })
  const token = api.app.issueToken(userId)
  const { token: session } = api.app.issueSession(userId)
  for (const headers of [bearer(token), cookie(session)]) {
    expect((await fetch(`${baseUrl}/api/jobs`, { headers })).status).toBe(200)
  }
  return { userId, token, session }
}

it('serves a token for 15 minutes and a session for eight hours', async () => {
  const start = api.clock.now()
  const status = async (headers: Record<string, string>) =>
    (await fetch(`${baseUrl}/api/jobs`, { headers })).status
  const [token, session] = [bearer(tokenOf('owner')), cookie(sessionOf('owner'))]
  try {
    api.clock.advance(15 * MINUTE_MS)
    expect([await status(token), await status(session)]).toEqual([200, 200])
    api.clock.advance(1_000)
    expect([await status(token), await status(session)]).toEqual([401, 200])
    api.clock.set(new Date(start.getTime() + 8 * 60 * MINUTE_MS))
    expect(await status(session)).toBe(200)
    api.clock.advance(1_000)
    expect(await status(session)).toBe(401)
  } finally {
    api.clock.set(start)
  }
})

it('does not tell those who may not ask what is wrong with their question', async () => {
  const request = { method: 'GET', url: '/api/jobs/runs?limit=abc' } as const
  expectProblem(await api.app.inject(request), 401)
  expectProblem(await api.as('staff', request), 403)
  expectProblem(await api.as('admin', request), 400)
})

it('names who asks by the address that they have now, and in the log by their id', async () => {
  const { prisma, log, userIds } = api
  const rename = (email: string) =>
    prisma.user.update({ where: { id: userIds.owner }, data: { email } })
  await rename('new@example.com')
  try {
    const request = { method: 'POST', url: '/api/jobs/cleanupI18nCache/run' } as const
    const { workId } = (await api.as('owner', { ...request, payload: reason })).json()
    expect((await listQueue(prisma)).find(({ id }) => id === workId)?.data).toMatchObject({
      actor: 'new@example.com',
    })
    expect(log).toContainEqual(
      expect.objectContaining({ msg: 'job run requested', workId, userId: userIds.owner }),
    )
  } finally {
    await rename('owner@example.com')
  }
})
