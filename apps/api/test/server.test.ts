// Not quick: starts processes.
import { changePassword, createDatabaseClient, DEMO_PASSWORD, migrate } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { jobs } from '@roundsman/jobs'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { readVersion } from '@roundsman/node-app'
import {
  createPooler,
  createTestDatabase,
  createUserOfEachRole,
  expectNotToBegin,
  expectToBegin,
  makeEnvironment,
  openMonitor,
  spawnProcess,
  waitFor,
  type TestDatabase,
} from '@roundsman/testing'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { runServer } from '../src/runServer.ts'

const log = pino({ level: 'silent' })
const PASSWORD = 'correct horse battery staple'
const SERVER = join(import.meta.dirname, '../src/server.ts')

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await migrateEngine({ schema: 'public', databaseUrl: database.url, jobs, log })
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  await createUserOfEachRole(prisma, PASSWORD)
  // Logging in as owner has to take as long as in production.
  await changePassword(prisma, 'owner@example.com', PASSWORD)
  await prisma.$disconnect()
})
afterAll(() => database.drop())

/** The variables of a server that starts; a test adds its own. */
function environment(extra: Record<string, string | undefined> = {}) {
  return {
    NODE_ENV: undefined,
    HOST: undefined,
    LOG_LEVEL: undefined,
    ROUNDSMAN_SUPERVISED: undefined,
    PORT: '0',
    DATABASE_URL: database.url,
    JWT_SECRET: 'a secret for tests, of thirty-two or more characters',
    ...extra,
  }
}

async function start(extra: Record<string, string | undefined> = {}) {
  const server = spawnProcess(SERVER, { env: environment(extra) })
  const line = await server.waitForLine('API listening at ')
  const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0] ?? ''
  return { server, url, port: Number(new URL(url).port) }
}

/** Opens a connection in the middle of a request, for which a draining server has to wait. */
async function beginRequest(port: number) {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(
    'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  )
  return socket
}

it('tells whom its environment names what is wrong with the jobs, also where no worker is', async () => {
  const receiver = await openMonitor()
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  onTestFinished(() => prisma.$disconnect())
  await prisma.$executeRaw`
    insert into pgboss.job (name, data, state, retry_count, started_on, completed_on, output)
    values ('dispatchEmail', '{"trigger":"queue","payload":{}}', 'failed', 2, now(), now(), '{"code":"pdf_missing"}')`
  const { server } = await start({ ALERT_WEBHOOK_URL: receiver.url.href })
  await waitFor(() => receiver.requests.length > 0)

  expect(JSON.parse(receiver.requests[0]?.body ?? '')).toMatchObject({
    kind: 'deadLetter',
    job: 'dispatchEmail',
    code: 'pdf_missing',
  })
  await prisma.$executeRaw`delete from pgboss.job`
  expect(await server.kill()).toEqual({ code: 0, signal: null })
})

describe('stops', () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`at ${signal}, with exit code 0 and its connections to the database closed`, async () => {
      const { server, url } = await start()
      expect((await fetch(`${url}/health/ready`)).status).toBe(200)
      expect(await server.kill(signal)).toEqual({ code: 0, signal: null })
      expect(server.stdout.at(-1)).toContain('"msg":"API stopped"')
      expect(server.stderr).toEqual([])
      await expect(fetch(`${url}/health/live`)).rejects.toThrow('fetch failed')
    })
  }

  it('after it has answered what was under way', async () => {
    const { server, url } = await start({ LOG_LEVEL: 'debug' })
    // Hashing the password takes a while; the signal comes in the middle of it.
    const answer = fetch(`${url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'owner@example.com', password: PASSWORD }),
    })
    await server.waitForLine('"msg":"incoming request"')
    const signalledAt = performance.now()
    const exit = server.kill()
    expect((await answer).status).toBe(200)
    expect(await exit).toEqual({ code: 0, signal: null })
    // The client keeps its connection open for more; that must not be waited for.
    expect(performance.now() - signalledAt).toBeLessThan(5_000)
  })

  it('once when a terminal and a supervisor both pass on one Ctrl-C', async () => {
    const { server } = await start()
    process.kill(server.pid, 'SIGINT')
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  it('at once, with exit code 1, when somebody asks again', async () => {
    const { server, port } = await start({ LOG_LEVEL: 'debug' })
    await beginRequest(port)
    await server.waitForLine('"msg":"incoming request"')
    process.kill(server.pid, 'SIGTERM')
    await server.waitForLine('"msg":"API stopping"')
    let exit: unknown
    void server.exited.then((result) => (exit = result))
    await waitFor(() => {
      if (exit === undefined) process.kill(server.pid, 'SIGTERM')
      return exit
    })
    // 0 would mean that it waited for the request.
    expect(exit).toEqual({ code: 1, signal: null })
  })

  it('when its supervisor is gone, and only if it has one', async () => {
    const { port } = await start()
    const supervised = spawnProcess(SERVER, {
      env: environment({ ROUNDSMAN_SUPERVISED: '1' }),
      hasInput: true,
    })
    await supervised.waitForLine('API listening at')
    supervised.stdin.end()
    expect(await supervised.exited).toEqual({ code: 0, signal: null })
    // The other one started with its standard input at its end.
    expect((await fetch(`http://127.0.0.1:${port}/health/live`)).status).toBe(200)
  })
})

it('serves behind a transaction pooler, where a connection forgets what was prepared on it', async () => {
  const pooler = await createPooler(database.url)
  onTestFinished(() => pooler.close())

  const { server, url } = await start({ DATABASE_URL: pooler.url })
  await server.waitForLine('a pooler ignores it')
  await server.waitForLine('as behind a transaction pooler')
  const answer = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'admin@example.com', password: PASSWORD }),
  })
  const { token } = (await answer.json()) as { token: string }
  const statuses: number[] = []
  for (let n = 0; n < 20; n++) {
    const headers = { authorization: `Bearer ${token}` }
    const { status, body } = await fetch(`${url}/api/jobs/runs`, { headers })
    await body?.cancel()
    statuses.push(status)
  }
  expect(statuses).toEqual(Array.from({ length: 20 }, () => 200))
})

describe('held back by its supervisor', () => {
  const hold = () =>
    spawnProcess(SERVER, {
      env: environment({ ROUNDSMAN_SUPERVISED: '1', ROUNDSMAN_HELD: '1' }),
      hasInput: true,
    })

  it('begins when it is told to, also before it has looked', () =>
    expectToBegin(hold(), 'API listening at'))

  it('has not begun when its supervisor is gone', () => expectNotToBegin(hold()))
})

it('serves metrics of itself, of the queue and of whether jobs are done', async () => {
  const METRICS_TOKEN = 'a-token-of-sixteen-or-more'
  const { server, url } = await start({ METRICS_TOKEN })
  expect((await fetch(`${url}/metrics`)).status).toBe(401)
  const headers = { authorization: `Bearer ${METRICS_TOKEN}` }
  const text = await (await fetch(`${url}/metrics`, { headers })).text()
  for (const series of [
    'roundsman_queue_depth{job_name="dispatchEmail",state="ready",app="api"} 0',
    'roundsman_jobs_healthy{app="api"} 0',
    'roundsman_job_problem{kind="noWorker",job_name="",app="api"} 1',
    'roundsman_db_pool_max_connections{pool="prisma",app="api"} 10',
    `roundsman_build_info{version="${readVersion(import.meta.dirname)}"`,
  ]) {
    expect(text).toContain(series)
  }
  await server.kill()
})

describe('on an empty embedded database', () => {
  async function startAlone() {
    const dataDir = mkdtempSync(join(tmpdir(), 'roundsman-api-'))
    // As root, PostgreSQL runs under another account.
    chmodSync(dataDir, 0o755)
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
    const env = environment({ DATABASE_URL: undefined, DATA_DIR: dataDir })
    const server = spawnProcess(SERVER, { env })
    const line = await server.waitForLine('API waiting for the database to be migrated')
    const pidFile = join(dataDir, 'postgres/data/postmaster.pid')
    expect(existsSync(pidFile)).toBe(true)
    return { server, dataDir, pidFile, waiting: JSON.parse(line) }
  }

  it('says what is missing and the remedy, and serves once that was applied', async () => {
    const { server, dataDir, pidFile, waiting } = await startAlone()
    expect(waiting).toMatchObject({
      missing: expect.stringContaining('20261124000000_jobs'),
      remedy: 'start the worker (pnpm start:worker), or run pnpm db:migrate',
    })
    const postgres = await acquireEmbeddedPostgres({ dataDir })
    try {
      await migrate(postgres.url)
      await migrateEngine({ schema: 'public', databaseUrl: postgres.url, jobs, log })
    } finally {
      await postgres.release()
    }
    const line = await server.waitForLine('API listening at ')
    const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0] ?? ''
    expect((await fetch(`${url}/health/ready`)).status).toBe(200)
    const announcements = server.stdout.filter((entry) => entry.includes('API waiting'))
    expect(announcements).toHaveLength(1)

    expect(await server.kill()).toEqual({ code: 0, signal: null })
    // The database that it started has stopped with it.
    expect(existsSync(pidFile)).toBe(false)
  })

  it('stops at once while it waits', async () => {
    const { server, pidFile } = await startAlone()
    expect(await server.kill()).toEqual({ code: 0, signal: null })
    expect(server.stderr).toEqual([])
    expect(server.stdout.join('')).not.toContain('API listening')
    expect(existsSync(pidFile)).toBe(false)
  })
})

describe('says in one line what keeps it from starting, and exits with 1', () => {
  async function failure(extra: Record<string, string | undefined>): Promise<string[]> {
    let stderr = ''
    const code = await runServer({
      variables: makeEnvironment(environment(extra)),
      stderr: { write: (text) => (stderr += text) },
      logDestination: { write: () => undefined },
      listenForStop: () => new AbortController().signal,
    })
    expect(code).toBe(1)
    return stderr.split('\n').slice(0, -1)
  }

  it('a taken port', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    expect(await failure({ PORT: String(port) })).toEqual([
      `PORT: ${port} is taken by another process; stop that one, or set PORT to another number, such as PORT=${port + 1}`,
    ])
  })

  it('an address of another machine', async () => {
    expect(await failure({ HOST: '192.0.2.1' })).toEqual([
      expect.stringMatching(/^HOST: 192\.0\.2\.1 /),
    ])
  })

  it('an unreachable database, without its password', async () => {
    const lines = await failure({ DATABASE_URL: 'postgresql://me:hunter2@127.0.0.1:1/shop' })
    expect(lines).toEqual([
      expect.stringMatching(/^DATABASE_URL: nothing listens at 127\.0\.0\.1:1; start the database/),
    ])
    expect(lines.join('')).not.toContain('hunter2')
  })

  it('a database that does not exist', async () => {
    const url = new URL(database.url)
    url.pathname = '/no_such_database'
    const lines = await failure({ DATABASE_URL: url.href })
    expect(lines).toEqual([expect.stringMatching(/^DATABASE_URL: .*no_such_database/)])
  })

  it('a database without the queue’s tables', async () => {
    const unprepared = await createTestDatabase({ withQueue: false })
    onTestFinished(() => unprepared.drop())
    expect(await failure({ DATABASE_URL: unprepared.url })).toEqual([
      expect.stringMatching(/^DATABASE_URL: .* lack .*queue \d+; .*pnpm db:migrate$/),
    ])
  })

  it('a database without our tables, which it does not create', async () => {
    const empty = await createTestDatabase({ migrated: false })
    onTestFinished(() => empty.drop())
    for (let i = 0; i < 2; i += 1) {
      expect(await failure({ DATABASE_URL: empty.url })).toEqual([
        expect.stringMatching(/^DATABASE_URL: the database lacks 2.*_jobs, .*pnpm db:migrate$/),
      ])
    }
  })

  it('demo accounts that still have the demo password, in production', async () => {
    const deployed = await createTestDatabase()
    onTestFinished(() => deployed.drop())
    await migrateEngine({ schema: 'public', databaseUrl: deployed.url, jobs, log })
    const prisma = createDatabaseClient({
      url: deployed.url,
      applicationName: 'tests',
      onPoolError: () => undefined,
    })
    onTestFinished(() => prisma.$disconnect())
    await createUserOfEachRole(prisma, DEMO_PASSWORD)
    await changePassword(prisma, 'owner@example.com', PASSWORD)
    const production = { NODE_ENV: 'production', DATABASE_URL: deployed.url, HOST: '127.0.0.1' }
    expect((await failure(production)).at(-1)).toMatch(
      /^DATABASE_URL: admin@example.com, staff@example.com .*pnpm user:password --email admin@example.com$/,
    )
    for (const role of ['admin', 'staff']) {
      await changePassword(prisma, `${role}@example.com`, PASSWORD)
    }
    const { server } = await start(production)
    expect((await server.kill()).code).toBe(0)
  })

  it('every wrong variable at once', async () => {
    const wrong = { PORT: 'http', DATABASE_URL: 'mysql://localhost/shop', JWT_SECRET: 'short' }
    const server = spawnProcess(SERVER, { env: environment({ NODE_ENV: 'production', ...wrong }) })
    expect(await server.exited).toEqual({ code: 1, signal: null })
    expect(server.stderr).toEqual([
      'The environment needs attention:',
      expect.stringContaining('DATABASE_URL: '),
      expect.stringContaining('PORT: '),
      expect.stringContaining('JWT_SECRET: '),
    ])
  })
})
