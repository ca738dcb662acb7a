import { cleanupI18nCache } from '@roundsman/jobs'
import { createHmac } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApi, JWT_SECRET, type TestApi } from './createTestApi.ts'
import { expectProblem } from './expectProblem.ts'
import { listQueue } from './listQueue.ts'

let api: TestApi
beforeAll(async () => {
  api = await createTestApi()
})
afterAll(() => api.close())

const UNKNOWN_ID = '01a20e26-367c-766a-a085-72e882269712'

const invoice = {
  customer: { name: 'Example GmbH', address: [] },
  currency: 'EUR',
  locale: 'de-DE',
  lines: [{ description: 'Work', quantity: 1, unitPriceMinor: 100, taxRateBasisPoints: 1900 }],
}

/** Each with its answer to those who may. */
const routes: {
  request: InjectOptions & { url: string }
  from: 'staff' | 'admin'
  answer: number
}[] = [
  { request: { method: 'GET', url: '/api/jobs/runs' }, from: 'admin', answer: 200 },
  { request: { method: 'GET', url: `/api/jobs/runs/${UNKNOWN_ID}` }, from: 'admin', answer: 404 },
  { request: { method: 'GET', url: '/api/jobs' }, from: 'admin', answer: 200 },
  {
    request: { method: 'GET', url: '/api/jobs/cleanupI18nCache/ticks' },
    from: 'admin',
    answer: 200,
  },
  {
    request: { method: 'POST', url: '/api/jobs/cleanupI18nCache/run', payload: { reason: 'why' } },
    from: 'admin',
    answer: 202,
  },
  {
    request: {
      method: 'POST',
      url: '/api/jobs/cleanupI18nCache/pause',
      payload: { reason: 'why' },
    },
    from: 'admin',
    // No worker has started with it.
    answer: 404,
  },
  {
    request: { method: 'POST', url: '/api/jobs/cleanupI18nCache/resume' },
    from: 'admin',
    answer: 404,
  },
  {
    request: {
      method: 'POST',
      url: `/api/jobs/runs/${UNKNOWN_ID}/cancel`,
      payload: { reason: 'why' },
    },
    from: 'admin',
    answer: 404,
  },
  {
    request: {
      method: 'POST',
      url: `/api/jobs/runs/${UNKNOWN_ID}/approve`,
      payload: { reason: 'why' },
    },
    from: 'admin',
    answer: 404,
  },
  {
    request: {
      method: 'POST',
      url: '/api/preview-sessions',
      payload: { label: 'Acme', ttlSeconds: 60 },
    },
    from: 'staff',
    answer: 201,
  },
  {
    request: { method: 'POST', url: `/api/preview-sessions/${UNKNOWN_ID}/revoke` },
    from: 'staff',
    answer: 404,
  },
  {
    request: { method: 'POST', url: '/api/invoices', payload: invoice },
    from: 'staff',
    answer: 201,
  },
  { request: { method: 'GET', url: '/api/invoices' }, from: 'staff', answer: 200 },
  { request: { method: 'GET', url: `/api/invoices/${UNKNOWN_ID}` }, from: 'staff', answer: 404 },
  {
    request: {
      method: 'PUT',
      url: `/api/invoices/${UNKNOWN_ID}`,
      payload: { ...invoice, version: 1 },
    },
    from: 'staff',
    answer: 404,
  },
  {
    request: { method: 'POST', url: `/api/invoices/${UNKNOWN_ID}/pdf` },
    from: 'staff',
    answer: 404,
  },
  {
    request: { method: 'GET', url: `/api/invoices/${UNKNOWN_ID}/pdf` },
    from: 'staff',
    answer: 404,
  },
  {
    request: { method: 'POST', url: `/api/invoices/${UNKNOWN_ID}/email`, payload: {} },
    from: 'staff',
    answer: 404,
  },
  { request: { method: 'GET', url: `/api/emails/${UNKNOWN_ID}` }, from: 'staff', answer: 404 },
  { request: { method: 'GET', url: '/api/jobs/dead-letters' }, from: 'admin', answer: 200 },
  { request: { method: 'GET', url: '/api/jobs/runs.csv' }, from: 'admin', answer: 200 },
  { request: { method: 'GET', url: '/api/console/overview' }, from: 'admin', answer: 200 },
  { request: { method: 'GET', url: '/api/console/jobs' }, from: 'admin', answer: 200 },
  {
    request: { method: 'GET', url: '/api/console/jobs/cleanupI18nCache' },
    from: 'admin',
    answer: 200,
  },
  { request: { method: 'GET', url: '/api/console/queue' }, from: 'admin', answer: 200 },
  {
    request: {
      method: 'POST',
      url: '/api/jobs/dead-letters/redrive',
      payload: { name: 'cleanupI18nCache', reason: 'why' },
    },
    from: 'admin',
    answer: 200,
  },
  {
    request: {
      method: 'POST',
      url: `/api/jobs/dead-letters/${UNKNOWN_ID}/redrive`,
      payload: { reason: 'why' },
    },
    from: 'admin',
    answer: 404,
  },
  {
    request: { method: 'DELETE', url: `/api/jobs/dead-letters/${UNKNOWN_ID}` },
    from: 'admin',
    answer: 404,
  },
]

const HS256 = { alg: 'HS256', typ: 'JWT' }

/** A token as anybody can write one, signed by hand so that it does not depend on what it tests. */
function forge(options: {
  header?: object
  payload?: object
  secret?: string
  hash?: string
  signature?: string
}): string {
  const { header = HS256, payload = claims(), secret = JWT_SECRET, hash = 'sha256' } = options
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encode(header)}.${encode(payload)}`
  const signature = options.signature ?? createHmac(hash, secret).update(input).digest('base64url')
  return `${input}.${signature}`
}

function claims(changes: object = {}): object {
  const iat = Math.floor(api.clock.now().getTime() / 1_000)
  return { sub: api.userIds.owner, iss: 'roundsman', iat, exp: iat + 900, ...changes }
}

function withToken(request: InjectOptions, token: string): InjectOptions {
  return { ...request, headers: { authorization: `Bearer ${token}` } }
}

for (const { request, from, answer } of routes) {
  describe(`${request.method} ${request.url}`, () => {
    it('asks nobody for a token, and tells how to send one', async () => {
      const response = await api.app.inject(request)
      expectProblem(response, 401)
      expect(response.headers['www-authenticate']).toBe('Bearer realm="roundsman"')
    })

    for (const role of ['staff', 'admin', 'owner'] as const) {
      const isRefused = from === 'admin' && role === 'staff'
      it(`${isRefused ? 'refuses' : 'serves'} ${role}`, async () => {
        const response = await api.as(role, request)
        expect(response.statusCode).toBe(isRefused ? 403 : answer)
      })
    }

    it('serves an owner whose token was written by hand, so that the forged ones below mean something', async () => {
      const response = await api.app.inject(withToken(request, forge({})))
      expect(response.statusCode).toBe(answer)
    })

    const forgeries: Record<string, () => string> = {
      'a token with algorithm none': () =>
        forge({ header: { alg: 'none', typ: 'JWT' }, signature: '' }),
      'a token with algorithm none and a signature': () =>
        forge({ header: { alg: 'none', typ: 'JWT' } }),
      'a token without its signature': () => forge({ signature: '' }),
      'a token signed with another secret': () => forge({ secret: `${JWT_SECRET}.` }),
      'a token signed with HS512': () =>
        forge({ header: { alg: 'HS512', typ: 'JWT' }, hash: 'sha512' }),
      'a token signed with HS384': () =>
        forge({ header: { alg: 'HS384', typ: 'JWT' }, hash: 'sha384' }),
      'a token of another issuer': () => forge({ payload: claims({ iss: 'another' }) }),
      'a token without an issuer': () => forge({ payload: claims({ iss: undefined }) }),
      'a token without an end': () => forge({ payload: claims({ exp: undefined }) }),
      'a token without a user': () => forge({ payload: claims({ sub: undefined }) }),
      'a token whose user is not an id': () => forge({ payload: claims({ sub: 'owner' }) }),
      'a token of a user who never was': () => forge({ payload: claims({ sub: UNKNOWN_ID }) }),
      'something that is not a token': () => 'owner',
    }
    for (const [name, make] of Object.entries(forgeries)) {
      it(`refuses ${name}`, async () => {
        const response = await api.app.inject(withToken(request, make()))
        expectProblem(response, 401)
        expect(response.headers['www-authenticate']).toBe(
          'Bearer realm="roundsman", error="invalid_token"',
        )
      })
    }

    it('refuses a token in another form than Bearer', async () => {
      for (const authorization of [`Basic ${forge({})}`, forge({}), `Bearer ${forge({})} x`]) {
        expectProblem(await api.app.inject({ ...request, headers: { authorization } }), 401)
      }
    })

    it('refuses a token after 15 minutes, and serves it just before', async () => {
      const start = api.clock.now()
      const token = api.app.issueToken(api.userIds.owner)
      try {
        api.clock.advance(15 * 60_000)
        expect((await api.app.inject(withToken(request, token))).statusCode).toBe(answer)
        api.clock.advance(1_000)
        expectProblem(await api.app.inject(withToken(request, token)), 401)
      } finally {
        api.clock.set(start)
      }
    })

    it('reads the role at each request: a token of somebody demoted or deleted stops working', async () => {
      const user = await api.prisma.user.create({
        data: { email: 'former@example.com', role: 'admin', passwordHash: 'unused' },
      })
      const token = api.app.issueToken(user.id)
      const ask = () => api.app.inject(withToken(request, token))
      expect((await ask()).statusCode).toBe(answer)

      await api.prisma.user.update({ where: { id: user.id }, data: { role: 'staff' } })
      expect((await ask()).statusCode).toBe(from === 'admin' ? 403 : answer)

      await api.prisma.user.delete({ where: { id: user.id } })
      expectProblem(await ask(), 401)
    })
  })
}

it('does not tell those who may not ask what is wrong with their question', async () => {
  const request = { method: 'GET', url: '/api/jobs/runs?limit=abc' } as const
  expectProblem(await api.app.inject(request), 401)
  expectProblem(await api.as('staff', request), 403)
  expectProblem(await api.as('admin', request), 400)
})

it('covers every route that is not for anybody', async () => {
  const { paths } = (await api.app.inject('/docs/json')).json()
  const guarded = Object.entries<Record<string, { security?: object[] }>>(paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods)
        .filter(([, { security }]) => security !== undefined)
        .map(([method]) => `${method.toUpperCase()} ${path}`),
  )
  const covered = routes.map(({ request: { method, url } }) => {
    const path = url
      .replace(`dead-letters/${UNKNOWN_ID}`, 'dead-letters/{queueJobId}')
      .replace(UNKNOWN_ID, '{id}')
      .replace('cleanupI18nCache', '{name}')
    return `${method} ${path}`
  })
  // It never ends, so it has tests of its own.
  covered.push('GET /api/jobs/events')
  expect(covered.toSorted()).toEqual(guarded.toSorted())
})

it('does nothing for those whom it refuses', async () => {
  const { prisma } = api
  await prisma.jobSchedule.create({
    data: { name: 'cleanupI18nCache', cron: '0 3 * * *', timeZone: 'UTC', cursor: new Date() },
  })
  const [running, blocked] = await prisma.jobRun.createManyAndReturn({
    data: [
      { name: 'cleanupI18nCache', trigger: 'queue', workerId: 'worker' },
      {
        name: 'cleanupI18nCache',
        trigger: 'queue',
        workerId: 'worker',
        status: 'failed',
        endedAt: new Date(),
        details: { error: { code: 'guard_blocked', message: '' }, guard: { due: 5 } },
      },
    ],
  })
  const queueJobId = await prisma.$transaction((tx) =>
    api.jobsClient.requestRun(tx, cleanupI18nCache, { actor: 'owner', reason: 'why' }),
  )
  // As a dead letter.
  await prisma.$executeRaw`
    update pgboss.job set state = 'failed', completed_on = now(), data = data || '{"trigger":"queue"}'
    where id = ${queueJobId}::uuid`
  const state = async () => [
    await prisma.jobSchedule.findMany(),
    await prisma.jobRun.findMany({ orderBy: { id: 'asc' } }),
    await listQueue(prisma),
  ]
  const before = await state()
  for (const path of [
    'cleanupI18nCache/run',
    'cleanupI18nCache/pause',
    'cleanupI18nCache/resume',
    `runs/${running!.id}/cancel`,
    `runs/${blocked!.id}/approve`,
    `dead-letters/${queueJobId}/redrive`,
  ]) {
    const request = {
      method: 'POST',
      url: `/api/jobs/${path}`,
      payload: { reason: 'why' },
    } as const
    expectProblem(await api.app.inject(request), 401)
    expectProblem(await api.as('staff', request), 403)
  }
  const discard = { method: 'DELETE', url: `/api/jobs/dead-letters/${queueJobId}` } as const
  expectProblem(await api.app.inject(discard), 401)
  expectProblem(await api.as('staff', discard), 403)
  expect(await state()).toEqual(before)
})
