import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createFetchHandler, createNodeHandler, type Access } from '@roundsman/admin'
import { roundsman } from '@roundsman/fastify'
import { openForTests } from '@roundsman/testing'
import Fastify from 'fastify'
import { describe } from 'vitest'
import { byTenant, inOrder, jobs, mail, partner, purge, remind } from './fixtures/product.ts'
import { by, later, openProduct } from './openProduct.ts'
import { normalise, openRecordings } from './recordings.ts'

const recorded = openRecordings('http')

const USERS: Record<string, Access> = {
  owner: { actor: 'owner@example.com', view: true, act: true, payloads: true },
  ada: { actor: 'ada@example.com', view: true, act: true },
  bob: { actor: 'bob@example.com', view: true, act: false },
  eve: { actor: 'eve@example.com', view: false, act: false },
}
const accessOf = (user: unknown) => USERS[String(user)] ?? null
const UNKNOWN = '01890000-0000-7000-8000-000000000001'

interface Asked {
  user?: string
  body?: unknown
  /** As it is sent, instead of `body`. */
  text?: string
  headers?: Record<string, string>
}

/** The product with each kind of state, and the admin API on each kind of server. */
async function openServers() {
  const product = await openProduct()
  const { test } = product
  const options = { client: test, jobs, consolePath: null, environment: 'test', now: test.now }
  const handleFetch = createFetchHandler({
    ...options,
    authorize: ({ headers }) => accessOf(headers.get('x-user')),
  })
  const handleNode = createNodeHandler({
    ...options,
    authorize: ({ headers }) => accessOf(headers['x-user']),
  })
  const server = createServer(handleNode).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const app = Fastify({ routerOptions: { maxParamLength: 512 } })
  await app.register(roundsman, {
    ...options,
    authorize: ({ headers }) => accessOf(headers['x-user']),
  })
  const fastify = await app.listen({ port: 0, host: '127.0.0.1' })
  const node = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    product,
    ask: {
      fetch: (path: string, init: RequestInit) =>
        handleFetch(new Request(`http://127.0.0.1${path}`, init)),
      node: (path: string, init: RequestInit) => fetch(node + path, init),
      fastify: (path: string, init: RequestInit) => fetch(fastify + path, init),
    },
    async close() {
      await Promise.all([handleFetch.close(), handleNode.close()])
      server.closeAllConnections()
      server.close()
      await app.close()
      await product.close()
    },
  }
}
const served = openForTests(openServers)
const put = (...[job, payload, options]: Parameters<typeof enqueue>) =>
  enqueue(job, payload, options)
function enqueue(job: (typeof jobs)[number], payload: object, options = {}) {
  const { product } = served
  return product.inTransaction((tx) =>
    product.test.enqueue(tx, job as typeof mail, payload as never, options),
  )
}

/** Leaves something of all that there is to see. Returns ids to ask for. */
async function seed() {
  const { test } = served.product
  await test.reset()
  const letter = await put(mail, { to: 'a@example.com', subject: 'Hi', fails: 1, isFinal: true })
  await put(inOrder, { tenant: 'a', fails: true })
  const blocked = await put(purge, { due: 50 })
  await test.drain()
  await test.advance({ minutes: 1 })
  const done = await put(mail, { to: 'b@example.com', subject: 'Hello' })
  await test.drain()
  const waits = await put(byTenant, { tenant: 'a' })
  const delayed = await put(
    mail,
    { to: 'c@example.com' },
    { startAfter: later(3_600), priority: 3 },
  )
  const schedule = { key: 'a', cron: '0 9 * * *', payload: { customer: 'a' } }
  await test.schedules.upsert(null, remind, schedule)
  await test.pauseQueue('sum', by)
  await test.limits.set({ limit: partner }, { global: 2 }, by)
  return {
    letter: letter.workId,
    blocked: blocked.workId,
    done: done.workId,
    waits: waits.workId,
    delayed: delayed.workId,
  }
}

/** Status and body, without sentences; of CSV what does not depend on lines of code. */
async function read(response: Response) {
  const { status } = response
  const type = response.headers.get('content-type')
  const text = await response.text()
  if (type?.startsWith('text/csv')) {
    const [header, ...rows] = text.split('\r\n')
    return { status, type, header, rows: rows.length - 1 }
  }
  if (!type?.includes('json')) return { status, type, body: text }
  const parsed = JSON.parse(text) as object
  if (!type.startsWith('application/problem+json')) {
    return type === 'application/json; charset=utf-8'
      ? { status, body: parsed }
      : { status, type, body: parsed }
  }
  const { type: about, title, detail, status: same, errors, ...more } = parsed as Problem
  const isProblem = [about, title, detail].every((one) => typeof one === 'string')
  const paths = errors && { errors: errors.map(({ path }) => path) }
  return { status, isProblem: isProblem && same === status, ...paths, ...more }
}
interface Named {
  name: string
  label: string | null
}
interface Problem {
  type: string
  title: string
  detail: string
  status: number
  errors?: { path: string }[]
}

/** Sends `GET /api/jobs` and the like to one server. */
async function send(
  request: string,
  { user = 'ada', body, text, headers }: Asked = {},
  kind: keyof typeof served.ask = 'fetch',
) {
  const [method = '', path = ''] = request.split(' ')
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body))
  return read(
    await served.ask[kind](path, {
      method,
      headers: {
        'x-user': user,
        ...(sent !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent !== undefined && { body: sent }),
    }),
  )
}

/** Asks each kind of server, and answers once where all say the same. */
async function askAll(request: string, asked?: Asked) {
  const answers = {
    fetch: await send(request, asked, 'fetch'),
    node: await send(request, asked, 'node'),
    fastify: await send(request, asked, 'fastify'),
  }
  const texts = new Set(Object.values(answers).map((one) => JSON.stringify(normalise(one))))
  return texts.size === 1 ? answers.fetch : answers
}

/** What has which type. Of a list the first one stands for all. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shapeOf(part)]))
}

const J = '/api/jobs'

describe('what can be read', () => {
  let ids: Awaited<ReturnType<typeof seed>> | undefined
  const seeded = async () => (ids ??= await seed())
  const reads = (name: string, requests: (of: Awaited<ReturnType<typeof seed>>) => string[]) =>
    recorded(name, async () => {
      const found: Record<string, unknown> = {}
      for (const request of requests(await seeded())) found[request] = await askAll(request)
      return found
    })

  reads('jobs', () => [`GET ${J}`])
  reads('runs', () => [`GET ${J}/runs`])
  recorded('runs: filters', async () => {
    await seeded()
    const found: Record<string, unknown> = {}
    for (const query of [
      ...['name=mail', 'status=failed', 'outcome=blocked', 'errorCode=refused', 'label=b@'],
      ...['key=a', 'trigger=manual', 'minDurationMs=1', 'limit=1'],
    ]) {
      const { body } = (await askAll(`GET ${J}/runs?${query}`)) as { body: { runs: Named[] } }
      found[query] = body.runs.map(({ name, label }) => label ?? name)
    }
    return found
  })
  reads('runs: one', ({ letter, done }) => [`GET ${J}/runs/${letter}`, `GET ${J}/runs/${done}`])
  reads('runs: as CSV', () => [`GET ${J}/runs.csv?name=mail`])
  reads('runs: dead letters of those that match', () => [`GET ${J}/runs/dead-letters?name=mail`])
  reads('dead letters', () => [
    `GET ${J}/dead-letters`,
    `GET ${J}/dead-letters?limit=1`,
    `GET ${J}/dead-letters/causes`,
    `GET ${J}/dead-letters/groups`,
  ])
  reads('waiting work', ({ waits, delayed }) => [
    `GET ${J}/work`,
    `GET ${J}/work?order=last&limit=1`,
    `GET ${J}/work?name=byTenant&key=a`,
    `GET ${J}/work/groups`,
    `GET ${J}/work/${waits}/explain`,
    `GET ${J}/work/${delayed}/explain`,
  ])
  reads('limits and keys', () => [
    `GET ${J}/limits`,
    `GET ${J}/named/byTenant/keys`,
    `GET ${J}/named/byTenant/key?key=a`,
  ])
  reads('schedules', () => [
    `GET ${J}/named/remind/schedules`,
    `GET ${J}/named/remind/schedules/a`,
    `GET ${J}/named/remind/schedules/a/ticks`,
    `GET ${J}/named/yearly/ticks`,
  ])
  reads('what is unknown', () => [
    `GET ${J}/runs/${UNKNOWN}`,
    `GET ${J}/work/${UNKNOWN}/explain`,
    `GET ${J}/work/${UNKNOWN}/steps`,
    `GET ${J}/named/nothing/ticks`,
    `GET ${J}/named/nothing/keys`,
    `GET ${J}/named/remind/schedules/none`,
    'GET /api/nothing',
    `DELETE ${J}`,
    `PUT ${J}/limits`,
  ])
  reads('malformed queries', () => [
    `GET ${J}/runs?limit=0`,
    `GET ${J}/runs?status=odd`,
    `GET ${J}/runs?more=1`,
    `GET ${J}/runs?cursor=x`,
    `GET ${J}/runs?from=yesterday`,
    `GET ${J}/runs/x`,
    `GET ${J}/work?order=odd`,
    `GET ${J}/named/${'x'.repeat(101)}/ticks`,
    `GET ${J}/%ff`,
  ])

  recorded('runs: pages', async () => {
    await seeded()
    const labels = []
    for (let cursor = ''; cursor !== 'end';) {
      const query = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const answer = await send(`GET ${J}/runs?limit=2${query}`)
      const page = (answer as { body: object }).body as { runs: Named[]; nextCursor: string | null }
      labels.push(page.runs.map(({ name }) => name).toSorted())
      cursor = page.nextCursor ?? 'end'
    }
    return labels
  })

  recorded('console: statuses, and the shape of what stays', async () => {
    await seeded()
    const found: Record<string, unknown> = {}
    for (const path of [
      ...['access', 'environment', 'jobs/mail/payload', 'queue', 'workers', 'search?q=mail'],
      'schedules/preview?cron=0+9+*+*+*&timeZone=Europe/Berlin',
    ]) {
      const answer = (await send(`GET /api/console/${path}`)) as { body: object }
      found[path] = { ...answer, body: shapeOf(answer.body) }
    }
    for (const path of [
      'overview',
      'jobs',
      'jobs/mail',
      'jobs/nothing',
      'workers/test',
      'workers/none',
    ]) {
      found[path] = (await send(`GET /api/console/${path}`)).status
    }
    return found
  })

  recorded('who may read: statuses of ada, bob, eve and nobody', async () => {
    const { letter, waits } = await seeded()
    const found: Record<string, number[]> = {}
    for (const path of [
      ...['runs', `runs/${letter}`, 'runs.csv', 'dead-letters', 'dead-letters/causes'],
      ...['work', `work/${waits}/explain`, 'limits', 'named/byTenant/keys'],
      ...['named/remind/schedules', 'named/yearly/ticks', '../console/overview'],
      ...['../console/access', '../console/environment'],
    ]) {
      const statuses = []
      for (const user of ['ada', 'bob', 'eve', 'nobody']) {
        statuses.push((await send(`GET ${J}/${path}`, { user })).status)
      }
      found[path] = statuses
    }
    return found
  })

  recorded('who may not: the answers to eve and nobody', async () => ({
    eve: await askAll(`GET ${J}`, { user: 'eve' }),
    nobody: await askAll(`GET ${J}`, { user: 'nobody' }),
    bobActs: await askAll(`POST ${J}/named/mail/pause`, { user: 'bob', body: { reason: 'x' } }),
    adaLooks: await askAll(`POST ${J}/work/${UNKNOWN}/payload`, { body: {} }),
  }))

  recorded('who may act: statuses of ada, bob, eve and nobody, of what is unknown', async () => {
    const found: Record<string, number[]> = {}
    const reason = { reason: 'a case' }
    const acts: [string, unknown][] = [
      ['POST named/nothing/run', reason],
      ['POST named/nothing/pause', reason],
      ['POST named/nothing/resume', reason],
      ['POST named/nothing/queue/resume', reason],
      [`POST runs/${UNKNOWN}/cancel`, reason],
      [`POST runs/${UNKNOWN}/approve`, reason],
      [`POST runs/${UNKNOWN}/run-again`, reason],
      [`POST work/${UNKNOWN}/run-again`, reason],
      [`POST runs/${UNKNOWN}/payload`, {}],
      [`POST work/${UNKNOWN}/payload`, {}],
      [`POST dead-letters/${UNKNOWN}/redrive`, reason],
      [`POST work/${UNKNOWN}/steps/answer`, { ...reason, step: 'pay', happened: true }],
      [`DELETE dead-letters/${UNKNOWN}`, undefined],
      ['POST limits/nothing', { ...reason, global: 1 }],
      ['POST named/mail/keys', { ...reason, key: 'a', perKey: 1 }],
      ['POST named/remind/schedules/none/pause', reason],
      ['POST named/remind/schedules/none/resume', reason],
      ['POST named/remind/schedules/none/trigger', reason],
      ['DELETE named/remind/schedules/none', reason],
    ]
    for (const [act, body] of acts) {
      const [method = '', path = ''] = act.split(' ')
      const statuses = []
      for (const user of ['owner', 'ada', 'bob', 'eve', 'nobody']) {
        statuses.push((await send(`${method} ${J}/${path}`, { user, body })).status)
      }
      found[act] = statuses
    }
    return found
  })

  recorded('malformed bodies', async () => {
    const path = `POST ${J}/named/mail/run`
    return {
      notJson: await askAll(path, { text: '{' }),
      empty: await askAll(path, { text: '' }),
      list: await askAll(path, { body: [] }),
      noReason: await askAll(path, { body: {} }),
      emptyReason: await askAll(path, { body: { reason: '' } }),
      more: await askAll(path, { body: { reason: 'x', more: 1 } }),
      payload: await askAll(path, { body: { reason: 'x', payload: { to: 5 } } }),
      noPayload: await askAll(path, { body: { reason: 'x' } }),
      tooLong: await askAll(path, { body: { reason: 'x', payload: { to: 'x'.repeat(70_000) } } }),
      otherType: await askAll(path, { text: 'a=1', headers: { 'content-type': 'text/plain' } }),
      foreignOrigin: await askAll(path, {
        body: { reason: 'x' },
        headers: { origin: 'https://evil.example' },
      }),
    }
  })

  recorded('events: the beginning of the stream', async () => {
    const found: Record<string, unknown> = {}
    for (const kind of ['fetch', 'node', 'fastify'] as const) {
      const leave = new AbortController()
      const response = await served.ask[kind](`${J}/events`, {
        ...{ headers: { 'x-user': 'ada' }, signal: leave.signal },
      })
      found[kind] = [response.status, response.headers.get('content-type')]
      await response.body?.cancel()
      leave.abort()
    }
    return found
  })
})

describe('what people do', () => {
  /** Asks one after the other, of a product that has been seeded. */
  const does = (
    name: string,
    requests: (of: Awaited<ReturnType<typeof seed>>) => [string, unknown?][],
  ) =>
    recorded(name, async () => {
      const answers = []
      for (const [request, body] of requests(await seed())) {
        answers.push([request, await send(request, { user: 'owner', body })])
      }
      return {
        answers,
        ended: (await served.product.test.drain()).map((one) => [one.name, one.status]),
      }
    })
  const reason = { reason: 'a case' }
  const schedule = { ...reason, key: 'b', cron: '@daily', payload: { customer: 'b' } }

  does('run a job', () => [
    [`POST ${J}/named/mail/run`, { ...reason, payload: { to: 'd@example.com' } }],
    [`POST ${J}/named/purge/run`, { ...reason, payload: { due: 1 }, dryRun: true }],
    [`POST ${J}/mail/run`, { ...reason, payload: { to: 'short@example.com' } }],
  ])
  does('run again', ({ letter, done }) => [
    [`POST ${J}/runs/${letter}/run-again`, reason],
    [`POST ${J}/runs/${done}/run-again`, reason],
  ])
  does('approve a blocked run, twice', ({ blocked, done }) => [
    [`POST ${J}/runs/${blocked}/approve`, reason],
    [`POST ${J}/runs/${blocked}/approve`, reason],
    [`POST ${J}/runs/${done}/approve`, reason],
  ])
  does('cancel a run that has ended', ({ done }) => [[`POST ${J}/runs/${done}/cancel`, reason]])
  does('redrive a dead letter, twice', ({ letter }) => [
    [`POST ${J}/dead-letters/${letter}/redrive`, reason],
    [`POST ${J}/dead-letters/${letter}/redrive`, reason],
  ])
  does('discard a dead letter, twice', ({ letter }) => [
    [`DELETE ${J}/dead-letters/${letter}`],
    [`DELETE ${J}/dead-letters/${letter}`],
  ])
  does('look at payloads', ({ letter, waits, done }) => [
    [`POST ${J}/work/${waits}/payload`, {}],
    [`POST ${J}/runs/${done}/payload`, {}],
    [`POST ${J}/runs/${letter}/payload`, {}],
  ])
  does('pause and resume a schedule', () => [
    [`POST ${J}/named/yearly/pause`, reason],
    [`POST ${J}/named/yearly/pause`, reason],
    [`POST ${J}/named/yearly/resume`, reason],
    [`POST ${J}/named/yearly/resume`],
    [`POST ${J}/named/mail/pause`, reason],
  ])
  does('pause and resume a queue', () => [
    [`POST ${J}/named/byTenant/queue/pause`, reason],
    [`POST ${J}/named/byTenant/queue/pause`, reason],
    [`POST ${J}/named/byTenant/queue/resume`, reason],
    [`POST ${J}/named/byTenant/queue/resume`],
  ])
  does('set a limit', () => [
    [`POST ${J}/named/byTenant/limit`, { ...reason, global: 4 }],
    [`POST ${J}/named/byTenant/limit`, { ...reason, global: 4 }],
    [`POST ${J}/limits/partner`, { ...reason, global: null }],
    [`POST ${J}/limits/partner`, { ...reason, parked: false }],
    [`POST ${J}/limits/partner`, { ...reason, global: 0 }],
  ])
  does('set a key', () => [
    [`POST ${J}/named/byTenant/keys`, { ...reason, key: 'a', paused: true }],
    [`POST ${J}/named/byTenant/keys`, { ...reason, key: 'a', perKey: 2 }],
    [`POST ${J}/named/byTenant/keys`, { ...reason, key: 'a', perKey: 0 }],
    [`POST ${J}/named/byTenant/keys`, { ...reason, key: 'a', paused: '2090-04-01T00:00:00Z' }],
  ])
  does('make and change a schedule', () => [
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 0 }],
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 0 }],
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 1, cron: '@hourly' }],
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 1 }],
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 2, cron: 'often' }],
    [`POST ${J}/named/remind/schedules`, { ...schedule, ifVersion: 2, payload: { customer: 5 } }],
    [`POST ${J}/named/remind/schedules`, { key: 'c' }],
  ])
  does('pause, resume, trigger and delete a schedule', () => [
    [`POST ${J}/named/remind/schedules/a/pause`, reason],
    [`POST ${J}/named/remind/schedules/a/pause`, reason],
    [`POST ${J}/named/remind/schedules/a/trigger`, reason],
    [`POST ${J}/named/remind/schedules/a/resume`, reason],
    [`DELETE ${J}/named/remind/schedules/a`, reason],
    [`DELETE ${J}/named/remind/schedules/a`, reason],
  ])
  does('acts on many', () => [
    [`POST ${J}/bulk`, { ...reason, kind: 'discard', all: true }],
    [`POST ${J}/bulk`, { ...reason, kind: 'postponeWork', all: true }],
    [`POST ${J}/bulk`, { ...reason, kind: 'cancelWork' }],
  ])
})
