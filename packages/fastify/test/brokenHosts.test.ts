import type { RequestListener, ServerResponse } from 'node:http'
import { types } from 'node:util'
import { createGzip } from 'node:zlib'
import { Problem, type Access } from '@roundsman/admin'
import { waitFor } from '@roundsman/testing'
import { accessOf, jobs, openHost, type Host } from '@roundsman/testing/openHost'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { KINDS, openServers } from './openServers.ts'

/*
 * What the host hands over may be anything and may throw anything. An error that nobody catches, or a promise that is
 * rejected, fails the whole test file.
 */

let host: Host
let served: Awaited<ReturnType<typeof openServers>>
let authorize: () => unknown
let around: (listener: RequestListener) => RequestListener
let writeLine: (line: unknown[]) => unknown
let nextId: () => string
let onSend: () => Promise<void>

const lines: unknown[][] = []
const log = {
  warn: (...line: unknown[]) => writeLine(line),
  error: (...line: unknown[]) => writeLine(line),
}

beforeAll(async () => {
  host = await openHost()
  served = await openServers({
    client: host.client,
    jobs,
    log,
    authorize: (user) => (user === 'ada' ? accessOf(user) : (authorize() as Access)),
    around: (listener) => (request, response) => around(listener)(request, response),
    logger: pinoLike(),
    genReqId: () => nextId(),
    prepare: (app) => app.addHook('onSend', () => onSend()),
  })
})

afterAll(async () => {
  await served.close()
  await host.close()
})

beforeEach(() => {
  lines.length = 0
  authorize = () => null
  around = (listener) => listener
  writeLine = (line) => lines.push(line)
  nextId = () => 'an-id'
  onSend = async () => undefined
})

/** A logger of the host's for Fastify. */
function pinoLike() {
  const write = (...line: unknown[]) => writeLine(line)
  const logger = {
    level: 'info',
    fatal: write,
    error: write,
    warn: write,
    info: () => undefined,
    debug: write,
    trace: () => undefined,
    silent: () => undefined,
    child: () => logger,
  }
  return logger
}

const fail = (): never => {
  throw new Error('the host is broken')
}
/** Symbols are what fast-check looks for. */
const failOf = (_target: object, name: string | symbol) =>
  typeof name === 'symbol' ? undefined : fail()
const hostile = new Proxy(new Error('hostile'), {
  get: failOf,
  has: (target, name) => failOf(target, name) === true,
  getPrototypeOf: fail,
  ownKeys: fail,
})
const circle: Record<string, unknown> = {}
circle['self'] = circle

const value = fc.oneof(
  fc.constantFrom<unknown[]>(
    hostile,
    circle,
    7n,
    Symbol('s'),
    new Promise(() => undefined),
    fail,
    'a\r\nb',
    'a\u0001b',
    'ünï☃',
  ),
  fc.anything({ withBigInt: true, withNullPrototype: true, withMap: true }),
)
const headers = fc.dictionary(
  fc.oneof(fc.constantFrom('x-why', 'content-length', 'transfer-encoding', 'a b', ''), fc.string()),
  fc.oneof(fc.constantFrom('a\nb', 'a\u0001b', '☃', '7', 'chunked'), fc.string(), value),
  { maxKeys: 3 },
)
const codes = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown[]>(401, 403) },
  { weight: 1, arbitrary: fc.constantFrom<unknown[]>(418, 200, 99, 1000, NaN, '403') },
  { weight: 1, arbitrary: value },
)
const words = fc.oneof(fc.constant('You may not'), value)
/** What is thrown, as far as it is not made when it is thrown. */
const thrown = fc.oneof(
  value,
  fc
    .record({ statusCode: codes, headers: fc.oneof(headers, value), message: words, code: value })
    .map((members) =>
      Object.entries(members).reduce(
        (error, [name, is]) => Object.defineProperty(error, name, { value: is, enumerable: true }),
        new Error('broken'),
      ),
    ),
  fc
    .record({
      status: codes,
      detail: words,
      headers,
      extensions: fc.dictionary(fc.string(), value),
    })
    .map(({ status: code, ...rest }) => {
      return () => new Problem(code as number, rest as never)
    }),
)

const run = { method: 'POST', body: '{"reason":"a test"}' }
const asked = fc.constantFrom<[string, RequestInit]>(
  ['/ops/api/jobs', {}],
  ['/ops/api/jobs', { method: 'HEAD' }],
  ['/ops/api/jobs/events', {}],
  ['/ops/api/jobs/runs.csv', {}],
  ['/ops/api/jobs/echo/run', run],
)
const typed = { 'content-type': 'application/json' }

/** Has each server refuse a request in a way that a client can read, and answer the next one. */
async function expectRefusal([path, init]: [string, RequestInit]): Promise<void> {
  for (const kind of KINDS) {
    const answer = await served[kind].ask(path, { ...init, headers: typed })
    expect([kind, answer.status]).toEqual([kind, expect.toSatisfy((code) => code >= 400)])
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    const document = init.method === 'HEAD' ? answer : await answer.json()
    expect(document).toMatchObject({ status: answer.status })
    const next = await served[kind].ask('/ops/api/jobs', { headers: { 'x-user': 'ada' } })
    expect(next.status).toBe(200)
  }
}

it('are answered, whatever authorize throws, as far as it can be sent', async () => {
  const property = fc.asyncProperty(thrown, fc.boolean(), asked, async (error, isLate, request) => {
    authorize = () => {
      const what = typeof error === 'function' ? (error as () => unknown)() : error
      if (isLate) return Promise.reject(what)
      throw what
    }
    await expectRefusal(request)
  })
  await fc.assert(property, { numRuns: 60 })
})

it('let nobody in by anything but an access whose rights are true or false', async () => {
  const right = fc.oneof(fc.constantFrom<unknown[]>('false', 1, {}, [], undefined, null), value)
  const access = fc.oneof(
    value.filter((one) => one !== null),
    fc
      .record({ view: fc.constant(true), act: fc.constant(true), payloads: fc.constant(true) })
      .chain((all) =>
        fc
          .tuple(
            fc.constantFrom('view', 'act', 'payloads'),
            right.filter((one) => typeof one !== 'boolean'),
          )
          .map(([name, wrong]) => ({ actor: 'mallory', ...all, [name]: wrong })),
      )
      .filter((one) => one.payloads !== undefined),
  )
  const property = fc.asyncProperty(access, fc.boolean(), asked, async (what, isLate, request) => {
    authorize = () => (isLate ? Promise.resolve(what) : what)
    if (types.isPromise(what)) return
    await expectRefusal(request)
  })
  await fc.assert(property, { numRuns: 60 })
  expect(await host.prisma.jobAction.count({ where: { actor: 'mallory' } })).toBe(0)
})

it.each([
  [{ act: 'false' }, 'authorize must return act as true or false, not as string'],
  [{ act: Promise.resolve(true) }, 'not as a promise: await it first'],
  [{ act: undefined }, 'authorize must return act as true or false, not as undefined'],
  [{ view: 1 }, 'authorize must return view as true or false, not as number'],
  [{ payloads: 'yes' }, 'authorize must return payloads as true or false, not as string'],
  [() => ({ act: Promise.reject(new Error('late')) }), 'not as a promise: await it first'],
])('name the right of %o in the log, and answer 500', async (wrong, message) => {
  const made = () => (typeof wrong === 'function' ? wrong() : wrong)
  authorize = () => ({ actor: 'mallory', view: true, act: true, ...made() })
  for (const kind of KINDS) {
    lines.length = 0
    const answer = await served[kind].ask('/ops/api/jobs')
    expect(answer.status).toBe(500)
    expect(
      JSON.stringify(lines.flat().map((part) => (part as { err?: Error }).err?.message)),
    ).toContain(message)
  }
})

it('are answered by a logger that throws', async () => {
  writeLine = fail
  authorize = fail
  await expectRefusal(['/ops/api/jobs', {}])
  nextId = () => 'a\r\nb: c'
  onSend = async () => undefined
  await expectRefusal(['/ops/api/jobs', {}])
})

it.each(KINDS)('%s answers others while authorize never does', async (kind) => {
  authorize = () => new Promise(() => undefined)
  const abort = new AbortController()
  const unanswered = served[kind].ask('/ops/api/jobs', { signal: abort.signal })
  const other = await served[kind].ask('/ops/api/jobs', { headers: { 'x-user': 'ada' } })
  expect(other.status).toBe(200)
  abort.abort()
  // The fetch handler waits on, since nobody can tell authorize.
  if (kind !== 'fetch') await unanswered.catch(() => undefined)
})

it('are answered, whatever a parser of theirs has made of a body', async () => {
  const property = fc.asyncProperty(value, async (body) => {
    around = (listener) => (request, response) => {
      request.resume().once('end', () => {
        Object.defineProperty(request, 'body', { value: body })
        listener(request, response)
      })
    }
    const { status } = await served.node.ask('/ops/api/jobs/echo/run', {
      ...run,
      headers: { ...typed, 'x-user': 'ada' },
    })
    expect(status).toBeGreaterThanOrEqual(400)
  })
  await fc.assert(property, { numRuns: 60 })
})

/** As express-session: it answers once the session is stored. */
function storing(response: ServerResponse): void {
  const { write, end } = response
  response.write = (chunk: unknown, encoding: unknown) =>
    write.call(response, chunk, encoding as BufferEncoding)
  response.end = (chunk?: unknown, encoding?: unknown) => {
    if (chunk !== undefined) write.call(response, chunk, encoding as BufferEncoding)
    setImmediate(() => end.call(response, undefined, 'utf8'))
    return response
  }
}

/** As compression: it writes what its own stream has made, and passes on who waits for it. */
function compressing(response: ServerResponse): void {
  const { write, end, on } = response
  const gzip = createGzip()
  response.setHeader('content-encoding', 'gzip')
  gzip.on('data', (chunk) => write.call(response, chunk, 'utf8') || gzip.pause())
  gzip.on('end', () => end.call(response, undefined, 'utf8'))
  on.call(response, 'drain', () => gzip.resume())
  response.on = ((name: string, listener: () => void) => {
    if (name === 'drain') gzip.on(name, listener)
    else on.call(response, name, listener)
    return response
  }) as never
  response.write = (chunk: unknown) => gzip.write(chunk)
  response.end = (chunk?: unknown) => {
    gzip.end(chunk)
    return response
  }
  Object.assign(response, { flush: () => gzip.flush() })
}

/** As many a host's own for its log: it returns nothing. */
function counting(response: ServerResponse): void {
  const { write } = response
  response.write = ((chunk: unknown) => void write.call(response, chunk, 'utf8')) as never
}

/** Returns promises. */
function waiting(response: ServerResponse): void {
  const { write } = response
  response.write = (async (chunk: unknown) => {
    await Promise.resolve()
    return write.call(response, chunk, 'utf8')
  }) as never
}

it.each([storing, compressing, counting, waiting])(
  'may wrap a response without callbacks, by %o, and it is streamed',
  async (wrapper) => {
    await host.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt", "details")
      select gen_random_uuid(), ${wrapper.name}, 'queue', 'w1', now() - n * interval '1 s',
             jsonb_build_object('text', repeat(n::text, 2000)) from generate_series(1, 400) n`
    around = (listener) => (request, response) => {
      wrapper(response)
      listener(request, response)
    }
    const init = { headers: { 'x-user': 'ada' } }
    const csv = await served.node.ask(`/ops/api/jobs/runs.csv?name=${wrapper.name}`, init)
    expect((await csv.text()).split('\r\n')).toHaveLength(402)
    const abort = new AbortController()
    const events = await served.node.ask('/ops/api/jobs/events', { ...init, signal: abort.signal })
    const first = await events.body!.getReader().read()
    expect(new TextDecoder().decode(first.value)).toMatch(/^retry: 2000/)
    abort.abort()
  },
)

/** Not `destroy`, by which a client is cut off. */
const MEMBERS = ['writeHead', 'write', 'end', 'hasHeader', 'on', 'once', 'headersSent', 'destroyed']
const LATE_MEMBERS = ['writeHead', 'write', 'end']
const OF_REQUEST = ['url', 'method', 'headers', 'iterator', 'readableEnded', 'originalUrl']

it('have a client cut off at worst, whatever their wrappers of request and response throw', async () => {
  const property = fc.asyncProperty(
    fc.subarray(MEMBERS),
    fc.subarray(LATE_MEMBERS),
    fc.subarray(OF_REQUEST),
    asked.filter(([path]) => path !== '/ops/api/jobs/events'),
    async (members, late, ofRequest, [path, init]) => {
      const closed: Promise<void>[] = []
      around = (listener) => (request, response) => {
        closed.push(new Promise((resolve) => response.once('close', resolve)))
        const wrapped = wrap(response, members, late)
        listener(wrap(request, ofRequest), wrapped)
      }
      await served.node
        .ask(path, { ...init, headers: { ...typed, 'x-user': 'ada' } })
        .then((answer) => answer.arrayBuffer())
        .catch(() => undefined)
      expect(await Promise.all(closed)).toHaveLength(1)
    },
  )
  await fc.assert(property, { numRuns: 60 })
})

/** The same object, of which these members throw, and these return a promise that is rejected. */
function wrap<Wrapped extends object>(
  object: Wrapped,
  members: readonly string[],
  late: readonly string[] = [],
): Wrapped {
  return new Proxy(object, {
    get(target, name) {
      if (members.includes(name as string)) fail()
      if (late.includes(name as string)) return async () => fail()
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

it.each<[string, RequestListener]>([
  ['sent', (_request, response) => void response.writeHead(403).end('no')],
  ['begun', (_request, response) => void response.writeHead(403).write('no')],
])(
  'that have %s an answer of their own before have nothing done and keep it',
  async (how, first) => {
    const before = await host.prisma.jobAction.count()
    around = (listener) => (request, response) => {
      first(request, response)
      listener(request, response)
      if (how === 'begun') setImmediate(() => response.end())
    }
    const headersOf = { ...typed, 'x-user': 'ada' }
    const answer = await served.node.ask('/ops/api/jobs/echo/run', { ...run, headers: headersOf })
    expect([answer.status, await answer.text()]).toEqual([403, 'no'])
    await waitFor(() => lines.some(([line]) => line === 'the answer could not be sent'))
    expect(await host.prisma.jobAction.count()).toBe(before)
  },
)

it.each<[string, RequestListener]>([
  ['answer', (_request, response) => void response.writeHead(504).end('late')],
  ['cut off', (request) => void request.socket.destroy()],
  ['destroy', (_request, response) => void response.destroy()],
])('may %s while the request is looked at', async (_how, meanwhile) => {
  for (const path of ['/ops/api/jobs', '/ops/api/jobs/events', '/ops/api/jobs/runs.csv']) {
    around = (listener) => (request, response) => {
      authorize = () => {
        meanwhile(request, response)
        return accessOf('ada')
      }
      listener(request, response)
    }
    const answer = await served.node.ask(path).catch(() => undefined)
    await answer?.text()
  }
  around = (listener) => listener
  const next = await served.node.ask('/ops/api/jobs', { headers: { 'x-user': 'ada' } })
  expect(next.status).toBe(200)
})
