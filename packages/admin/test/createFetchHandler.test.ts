import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { createProxy, openForTests, waitFor } from '@roundsman/testing'
import { accessOf, jobs, openHost } from '@roundsman/testing/openHost'
import { afterEach, expect, it } from 'vitest'
import { createFetchHandler, type FetchHandler, type FetchHandlerOptions } from '../src/index.ts'

const host = openForTests(openHost)
let handle: FetchHandler

afterEach(() => handle.close())

const open = (options: Partial<FetchHandlerOptions> = {}) =>
  (handle = createFetchHandler({
    client: host.client,
    jobs,
    authorize: ({ headers }) => accessOf(headers.get('x-user')),
    ...options,
  }))

const ask = (path: string, { user = 'ada', ...init }: RequestInit & { user?: string } = {}) =>
  handle(new Request(`http://localhost:3000${path}`, { headers: { 'x-user': user }, ...init }))

/** A client whose changes the test makes up. */
function changing(): { client: JobsClient; change(name: string): void; isWatched(): boolean } {
  let listener: ((name: string) => void) | undefined
  const watchChanges: JobsClient['watchChanges'] = ({ onChange }) => {
    listener = (name) => onChange({ ids: [], names: [name], ticks: [] })
    return {
      isLasting: () => true,
      close: async () => {
        listener = undefined
      },
    }
  }
  return {
    client: { ...host.client, watchChanges },
    change: (name) => listener?.(name),
    isWatched: () => listener !== undefined,
  }
}

it('serves the console at the base path, and its API below', async () => {
  open({ basePath: '/admin/jobs' })
  for (const path of ['/admin/jobs', '/admin/jobs/', '/admin/jobs/runs/1']) {
    const { status, headers } = await ask(path)
    // The page, or that it is not built.
    expect([200, 404]).toContain(status)
    expect(headers.get('content-type')).toMatch(/^(text\/html|application\/problem\+json)/)
  }
  for (const path of ['/admin/jobs/api/jobs', '/admin/jobs/api/jobs/']) {
    expect(await (await ask(path)).json()).toMatchObject({ jobs: [{ name: 'echo' }] })
  }
  for (const path of ['/admin/jobsapi/jobs', '/api/jobs', '/', '/admin']) {
    expect([path, (await ask(path)).status]).toEqual([path, 404])
  }
})

it('names its base path where the framework sends it another address', async () => {
  open({ basePath: '/admin/job' })
  expect(await (await ask('/admin/jobs/api/jobs')).json()).toMatchObject({
    status: 404,
    detail: 'There is nothing at this address: the basePath is /admin/job',
  })
})

it('passes on what the framework says of a request', async () => {
  const withContext = createFetchHandler<{ user: string }>({
    client: host.client,
    jobs,
    authorize: async (_request, { user }) => accessOf(user),
  })
  try {
    const request = () => new Request('http://localhost:3000/api/jobs')
    expect((await withContext(request(), { user: 'ada' })).status).toBe(200)
    expect((await withContext(request(), { user: 'eve' })).status).toBe(403)
  } finally {
    await withContext.close()
  }
})

it('opens nothing before somebody is let in, and then once', async () => {
  const { client, isWatched } = changing()
  let starts = 0
  open({ client: { ...client, start: async () => void (starts += 1) } })
  await ask('/')
  await ask('/api/jobs', { user: 'nobody' })
  expect([starts, isWatched()]).toEqual([0, false])
  await Promise.all([ask('/api/jobs'), ask('/api/console/queue')])
  expect([starts, isWatched()]).toEqual([1, true])
})

it('says 503 while the database is away, and answers once it is back', async () => {
  const body = JSON.stringify({ reason: 'a test' })
  const headers = { 'x-user': 'ada', 'content-type': 'application/json' }
  const url = new URL(host.url)
  const proxy = await createProxy(Number(url.port))
  url.port = String(proxy.port)
  const lines: unknown[] = []
  const silent = () => undefined
  const log = { warn: silent, error: (...line: unknown[]) => lines.push(line) }
  const client = createJobsClient({
    databaseUrl: url.href,
    schema: 'public',
    log: { warn: silent, error: silent },
  })
  try {
    proxy.refuse(() => true)
    open({ client, log })
    const away = await ask('/api/jobs')
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await away.json()).toMatchObject({
      detail: 'The database of the jobs does not answer; try again in a moment',
    })
    expect(lines).toContainEqual([
      'the job tables could not be checked',
      expect.objectContaining({ reqId: away.headers.get('x-request-id') }),
    ])
    proxy.refuse(null)
    expect((await ask('/api/jobs')).status).toBe(200)

    // Lost under a client that has started.
    proxy.refuse(() => true)
    proxy.cut()
    for (const path of ['/api/jobs', '/api/console/queue']) {
      const lost = await ask(path)
      expect([path, lost.status, lost.headers.get('retry-after')]).toEqual([path, 503, '5'])
    }
    const change = await ask('/api/jobs/echo/run', { method: 'POST', body, headers })
    expect([change.status, change.headers.get('retry-after')]).toEqual([503, null])
    expect(await change.json()).toMatchObject({
      detail: expect.stringContaining('look whether it was done'),
    })
    expect(lines).toContainEqual([
      'the database of the jobs does not answer',
      expect.objectContaining({ reqId: change.headers.get('x-request-id') }),
    ])
    proxy.refuse(null)
    expect((await ask('/api/jobs')).status).toBe(200)
  } finally {
    await client.stop()
    proxy.close()
  }
})

it('answers an act with 503 and the reason where the database refuses writes', async () => {
  const url = new URL(host.url)
  url.searchParams.set('options', '-c default_transaction_read_only=on')
  const client = createJobsClient({ databaseUrl: url.href, schema: 'public' })
  try {
    open({ client })
    expect((await ask('/api/jobs')).status).toBe(200)
    const refused = await ask('/api/jobs/named/echo/queue/pause', {
      method: 'POST',
      body: JSON.stringify({ reason: 'a test' }),
      headers: { 'x-user': 'ada', 'content-type': 'application/json' },
    })
    expect([refused.status, await refused.json()]).toEqual([
      503,
      expect.objectContaining({
        detail:
          'The database of the jobs refuses writes (read-only), so nothing was changed; try again once it takes them',
      }),
    ])
  } finally {
    await client.stop()
  }
})

it('says that the database has no connection left, where that is what it answers', async () => {
  const url = new URL(host.url)
  url.username = `limited_${process.pid}`
  const change = (sql: string) => host.prisma.$executeRawUnsafe(sql)
  await change(`create role "${url.username}" login password '${url.password}' connection limit 0`)
  const client = createJobsClient({ databaseUrl: url.href, schema: 'public' })
  try {
    open({ client })
    const full = await ask('/api/jobs')
    expect([full.status, await full.json()]).toEqual([
      503,
      expect.objectContaining({
        detail:
          'The database of the jobs has no connection left, others hold all that it allows; try again in a moment',
      }),
    ])
  } finally {
    await client.stop()
    await change(`drop role "${url.username}"`)
  }
})

it('says that it was given no address of a database, and the log which variable may be missing', async () => {
  const lines: unknown[] = []
  const client = createJobsClient({ databaseUrl: '' })
  try {
    open({ client, log: { warn: () => undefined, error: (...line) => void lines.push(line) } })
    const answer = await ask('/api/jobs')
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      detail:
        'The server was given no address of the database of the jobs; its log says what to do',
    })
    expect(lines).toMatchObject([
      [
        'the job tables could not be checked',
        { err: { message: expect.stringContaining('is DATABASE_URL set') } },
      ],
    ])
  } finally {
    await client.stop()
  }
})

it('says 503 without the tables, and the log has the remedy', async () => {
  const lines: unknown[] = []
  const log = { warn: () => undefined, error: (...line: unknown[]) => lines.push(line) }
  const client = createJobsClient({ databaseUrl: host.url, schema: 'nowhere', log })
  open({ client, log })
  const { status } = await ask('/api/jobs')
  await client.stop()
  const remedy = expect.stringContaining('run npx roundsman migrate')
  expect(status).toBe(503)
  expect(lines).toMatchObject([
    ['the job tables could not be checked', { err: { message: remedy } }],
  ])
})

it('ends its streams of events when it is closed', async () => {
  open()
  const { body } = await ask('/api/jobs/events')
  const reading = new Response(body).text()
  await handle.close()
  expect(await reading).toMatch(/^retry: 2000\nid: \S+-0\n\n$/)
})

it.each(['leaves by its signal', 'cancels the stream', 'has left before'])(
  'forgets a client that %s',
  async (how) => {
    const { client, change } = changing()
    const checks: (string | null)[] = []
    open({
      client,
      recheckMs: 10,
      authorize: ({ headers }) => {
        checks.push(headers.get('x-user'))
        return accessOf(headers.get('x-user'))
      },
    })
    const abort = new AbortController()
    if (how === 'has left before') abort.abort()
    const { body } = await ask('/api/jobs/events', { signal: abort.signal })
    if (how === 'cancels the stream') await body?.cancel()
    else abort.abort()
    checks.length = 0
    // The checks of another one show that this one's would have come.
    const other = await ask('/api/jobs/events', { user: 'bob' })
    await waitFor(() => checks.length >= 4)
    await other.body?.cancel()
    change('later')
    expect(new Set(checks)).toEqual(new Set(['bob']))
  },
)

it('disconnects a client that does not read, and nobody else', async () => {
  const { client, change } = changing()
  open({ client })
  const [slow, quick] = await Promise.all([ask('/api/jobs/events'), ask('/api/jobs/events')])
  let read = ''
  const reading = (async () => {
    for await (const chunk of quick.body!.pipeThrough(new TextDecoderStream())) read += chunk
  })()
  for (let count = 0; count < 100; count += 1) {
    change('x'.repeat(2_000))
    await waitFor(() => read.split('event: run').length > count)
  }
  await expect(slow.text()).rejects.toThrow('too slowly')
  await handle.close()
  await reading
})

it('gives a client that has missed much the beginning of it, and lets it come back for the rest', async () => {
  const { client, change } = changing()
  open({ client })
  const first = (await ask('/api/jobs/events')).body!.getReader()
  const [, id = ''] = /id: (\S+)/.exec(new TextDecoder().decode((await first.read()).value)) ?? []
  await first.cancel()
  for (let count = 0; count < 100; count += 1) change('x'.repeat(2_000))
  const follow = async (from: string): Promise<number[]> => {
    const headers = { 'x-user': 'ada', 'last-event-id': from }
    const response = await ask('/api/jobs/events', { headers })
    const abort = setTimeout(() => void handle.close(), 0)
    const text = await response.text()
    clearTimeout(abort)
    return [...text.matchAll(/^id: \S+-(\d+)$/gm)].map(([, number]) => Number(number))
  }
  const beginning = await follow(id)
  expect(beginning[0]).toBe(1)
  expect(beginning.length).toBeGreaterThan(10)
  expect(beginning.length).toBeLessThan(100)
  const process = id.replace(/-\d+$/, '')
  expect((await follow(`${process}-${beginning.at(-1)}`))[0]).toBe(beginning.at(-1)! + 1)
})

it('reads no page of the CSV before it is asked for', async () => {
  let reads = 0
  const reader = new Proxy(host.client.reader, {
    get: (target, key) => {
      reads += 1
      return Reflect.get(target, key) as unknown
    },
  })
  open({ client: { ...host.client, reader } })
  await ask('/api/jobs')
  const before = reads
  const { body } = await ask('/api/jobs/runs.csv?name=echo')
  const lines = body!.getReader()
  expect(new TextDecoder().decode((await lines.read()).value)).toMatch(/^id,name,status/)
  expect(reads).toBe(before)
  await lines.read()
  expect(reads).toBeGreaterThan(before)
})
