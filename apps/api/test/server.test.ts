// Processes: runs and stops the API.
import { changePassword, migrate } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { expectNotToBegin, expectToBegin, spawnProcess, waitFor } from '@roundsman/testing'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PASSWORD, useServerDatabase } from './useServerDatabase.ts'

const SERVER = join(import.meta.dirname, '../src/server.ts')

const log = pino({ level: 'silent' })

// Logging in as owner has to take as long as in production.
const { environment } = useServerDatabase((prisma) =>
  changePassword(prisma, 'owner@example.com', PASSWORD),
)

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
      missing: expect.stringContaining('20261124000001_product'),
      remedy: 'start the worker (pnpm start:worker), or run pnpm db:migrate',
    })
    const postgres = await acquireEmbeddedPostgres({ dataDir })
    try {
      await migrate(postgres.url)
      await migrateEngine({ schema: 'public', databaseUrl: postgres.url, log })
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
})

it('says what keeps it from starting, every wrong variable at once, and exits with 1', async () => {
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
