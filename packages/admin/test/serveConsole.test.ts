import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { openForTests } from '@roundsman/testing'
import { afterEach, expect, it } from 'vitest'
import { serveConsole, type ServedConsole } from '../src/index.ts'
import { SECURITY_HEADERS } from '../src/http/answer.ts'
import { authoritiesOf } from '../src/serveConsole.ts'
import { jobs, log, openHost } from '@roundsman/testing/openHost'

const host = openForTests(openHost)
let served: ServedConsole

afterEach(() => served.close())

const open = async () =>
  (served = await serveConsole({
    databaseUrl: host.url,
    schema: 'public',
    jobs,
    actor: 'ada@laptop',
    log,
  }))

/** Returns the cookie that a browser keeps after it has followed the link. */
async function follow(link: string): Promise<string | undefined> {
  const { status, headers } = await fetch(link, { redirect: 'manual' })
  expect([status, headers.get('location')]).toEqual([303, '/console'])
  return headers.get('set-cookie') ?? undefined
}

it('lets in whoever follows its link, once, and lets them look and act', async () => {
  const { link, url } = await open()
  expect(new URL(link).hostname).toBe('127.0.0.1')
  expect((await fetch(`${url}/api/jobs`)).status).toBe(401)

  const kept = await follow(link)
  expect(kept).toMatch(
    new RegExp(
      `^roundsman_console_${new URL(url).port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`,
    ),
  )
  expect(await follow(link)).toBeUndefined()

  const cookie = kept?.split(';')[0] ?? ''
  const access = await fetch(`${url}/api/console/access`, { headers: { cookie } })
  expect(await access.json()).toEqual({ actor: 'ada@laptop', act: true, payloads: true })
  const run = (more: Record<string, string> = {}) =>
    fetch(`${url}/api/jobs/echo/run`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json', ...more },
      body: JSON.stringify({ reason: 'a test' }),
    })
  expect((await run()).status).toBe(202)
  expect((await run({ origin: 'https://evil.example' })).status).toBe(403)
  expect(await host.prisma.jobAction.findMany()).toMatchObject([{ actor: 'ada@laptop' }])
})

it('protects the browser by the same headers as every server, also at its own addresses', async () => {
  const { url, link } = await open()
  for (const address of [`${url}/`, `${url}/console`, `${url}/api/jobs`, `${url}//`, link]) {
    const { headers } = await fetch(address, { redirect: 'manual' })
    expect(Object.fromEntries(headers)).toMatchObject(SECURITY_HEADERS)
  }
})

it('lets in nobody with another key or cookie', async () => {
  const { link, url } = await open()
  expect(await follow(`${url}/open?key=${'x'.repeat(43)}`)).toBeUndefined()
  expect(await follow(`${url}/open`)).toBeUndefined()
  const [name = ''] = (await follow(link))?.split('=') ?? []
  for (const value of ['', 'x'.repeat(43)]) {
    const { status } = await fetch(`${url}/api/jobs`, { headers: { cookie: `${name}=${value}` } })
    expect(status).toBe(401)
  }
})

it('answers to its own names alone, whatever a page makes another name mean', async () => {
  const { link, url } = await open()
  const cookie = (await follow(link))?.split(';')[0] ?? ''
  const { port } = new URL(url)
  const statusFor = async (name: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
    request(`${url}/api/jobs`, { headers: { host: name, cookie } }, (response) =>
      resolve(response.resume().statusCode),
    )
      .on('error', reject)
      .end()
    return await promise
  }
  expect(await statusFor(`127.0.0.1:${port}`)).toBe(200)
  expect(await statusFor(`LOCALHOST:${port}`)).toBe(200)
  for (const name of [`evil.example:${port}`, 'localhost', '127.0.0.1:1']) {
    expect(await statusFor(name)).toBe(421)
  }
})

it.each<[string, number, string[]]>([
  ['127.0.0.1', 4_000, ['127.0.0.1:4000']],
  // A browser leaves out the port that every address of http has.
  ['127.0.0.1', 80, ['127.0.0.1:80', '127.0.0.1']],
  ['LOCALHOST', 80, ['localhost:80', 'localhost']],
  ['::1', 80, ['[::1]:80', '[::1]']],
  // It shortens addresses, too.
  ['::ffff:127.0.0.1', 4_000, ['[::ffff:127.0.0.1]:4000', '[::ffff:7f00:1]:4000']],
  ['fe80::1%eth0', 4_000, ['[fe80::1%eth0]:4000']],
])('knows %s on port %d by what a browser calls it', (name, port, called) => {
  expect(authoritiesOf(name, port)).toEqual(new Set(called))
})

it('says which of its options cannot be listened on, and leaves nothing open', async () => {
  const { url } = await open()
  const attempt = async (options: { host?: string; port?: number }) =>
    await serveConsole({ databaseUrl: host.url, schema: 'public', jobs, log, ...options })
  await expect(attempt({ port: Number(new URL(url).port) })).rejects.toMatchObject({
    argument: 'port',
    message: expect.stringContaining('EADDRINUSE'),
  })
  await expect(attempt({ host: '203.0.113.1' })).rejects.toMatchObject({
    argument: 'host',
    message: expect.stringContaining('EADDRNOTAVAIL'),
  })
  // Node would listen on all addresses of the machine.
  await expect(attempt({ host: '' })).rejects.toMatchObject({ argument: 'host' })
})

it.each([
  ['//', 400],
  ['//[', 400],
  ['http://:99999/', 400],
  ['http://[/open', 400],
  ['//evil.example/console', 404],
  ['*', 404],
  ['/open?key=%', 303],
  ['/api/jobs/%', 400],
  ['/api/jobs/%ff/runs?x=%', 400],
])('answers a request for %s, and goes on', async (target, status) => {
  const { url } = await open()
  const { host: name } = new URL(url)
  expect(await statusOf(target, name)).toBe(status)
  expect(await statusOf('/', name)).toBe(303)
})

it.each(['cookie: ;;=;%', 'origin: //', 'origin: http://[', 'content-length: x', 'host: ['])(
  'answers a request with the header %s, and goes on',
  async (header) => {
    const { url } = await open()
    const { host: name } = new URL(url)
    expect(await statusOf('/api/jobs', name, `${header}\r\n`)).toBeGreaterThanOrEqual(400)
    expect(await statusOf('/', name)).toBe(303)
  },
)

/** Sends a request as it stands, which fetch would first put in order, and returns the status of the answer. */
async function statusOf(target: string, name: string, headers = ''): Promise<number> {
  const [address = '', port] = name.split(':')
  const socket = connect(Number(port), address)
  socket.write(`GET ${target} HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n${headers}\r\n`)
  let answer = ''
  socket.on('data', (part: Buffer) => (answer += part.toString()))
  await once(socket, 'close')
  return Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1])
}
