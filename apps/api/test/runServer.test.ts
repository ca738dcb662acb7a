// Not quick: hashes passwords.
import { changePassword, DEMO_PASSWORD } from '@roundsman/db'
import { readVersion } from '@roundsman/node-app'
import {
  createPooler,
  createTestDatabase,
  createUserOfEachRole,
  emptyQueue,
  makeEnvironment,
  openMonitor,
  waitFor,
} from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PASSWORD, useServerDatabase } from './useServerDatabase.ts'
import { runServer } from '../src/runServer.ts'

const { database, environment: variables } = useServerDatabase()

/** The variables of a server that starts; a test adds its own. */
const environment = (extra?: Record<string, string | undefined>) =>
  makeEnvironment(variables(extra))

/** The program of the server in this process. `stop` returns what its exit code would be. */
async function start(extra: Record<string, string | undefined> = {}) {
  const lines: string[] = []
  const wish = new AbortController()
  const running = runServer({
    variables: environment(extra),
    stderr: { write: (text) => lines.push(text) },
    logDestination: { write: (line) => void lines.push(line) },
    listenForStop: () => wish.signal,
  })
  const stop = () => {
    wish.abort('the end of the test')
    return running
  }
  onTestFinished(async () => void (await stop()))
  const url = await waitFor(
    () => /API listening at (http:\/\/[\d.]+:\d+)/.exec(lines.join(''))?.[1],
  )
  return { url, lines, stop }
}

it('tells whom its environment names what is wrong with the jobs, also where no worker is', async () => {
  const receiver = await openMonitor()
  const { prisma } = database
  await prisma.$executeRaw`
    insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
    values (gen_random_uuid(), 'dispatchEmail', 3, 2, '{}', 'pdf_missing', '')`
  const { stop } = await start({ ALERT_WEBHOOK_URL: receiver.url.href })
  await waitFor(() => receiver.requests.length > 0)

  expect(JSON.parse(receiver.requests[0]?.body ?? '')).toMatchObject({
    kind: 'deadLetters',
    job: 'dispatchEmail',
    code: 'pdf_missing',
  })
  await emptyQueue(prisma)
  expect(await stop()).toBe(0)
})

it('serves behind a transaction pooler, where a connection forgets what was prepared on it', async () => {
  const pooler = await createPooler(database.url)
  onTestFinished(() => pooler.close())

  const { lines, url } = await start({ DATABASE_URL: pooler.url })
  await waitFor(() => lines.join('').includes('a pooler ignores settings'))
  await waitFor(() => lines.join('').includes('as behind a transaction pooler'))
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

it('logs nothing of the keys and addresses of the connections that it loses', async () => {
  const { url, lines, stop } = await start({ LOG_LEVEL: 'trace' })
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
  const { prisma } = database
  // The first query of Prisma's own, from which on its adapter listens as well.
  await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'admin@example.com', password: PASSWORD }),
  })
  await prisma.$queryRaw`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'roundsman%'`
  await waitFor(() => lines.join('').includes('"msg":"database connection lost"'))
  await stop()
  const { password } = new URL(database.url)
  expect(password).not.toBe('')
  const secrets = ['secretKey', 'connectionParameters', 'postgres://', 'postgresql://', password]
  expect(lines.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([])
})

it('serves metrics of itself, of the queue and of whether jobs are done', async () => {
  const METRICS_TOKEN = 'a-token-of-sixteen-or-more'
  const { url } = await start({ METRICS_TOKEN })
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
})

describe('says in one line what keeps it from starting, and exits with 1', () => {
  async function failure(extra: Record<string, string | undefined>): Promise<string[]> {
    let stderr = ''
    const code = await runServer({
      variables: environment(extra),
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

  it('a database without the queue’s tables', async () => {
    const unprepared = await createTestDatabase({ withQueue: false })
    onTestFinished(() => unprepared.drop())
    expect(await failure({ DATABASE_URL: unprepared.url })).toEqual([
      expect.stringMatching(/^DATABASE_URL: Roundsman's tables .* are missing; .*pnpm db:migrate$/),
    ])
  })

  it('a database without our tables, which it does not create', async () => {
    const empty = await createTestDatabase({ migrated: false })
    onTestFinished(() => empty.drop())
    for (let i = 0; i < 2; i += 1) {
      expect(await failure({ DATABASE_URL: empty.url })).toEqual([
        expect.stringMatching(/^DATABASE_URL: the database lacks 2.*_product, .*pnpm db:migrate$/),
      ])
    }
  })

  it('demo accounts that still have the demo password, in production', async () => {
    const { url, prisma, close } = await openTestDatabase()
    onTestFinished(close)
    await createUserOfEachRole(prisma, DEMO_PASSWORD)
    await changePassword(prisma, 'owner@example.com', PASSWORD)
    const production = { NODE_ENV: 'production', DATABASE_URL: url, HOST: '127.0.0.1' }
    expect((await failure(production)).at(-1)).toMatch(
      /^DATABASE_URL: admin@example.com, staff@example.com .*pnpm user:password --email admin@example.com$/,
    )
    for (const role of ['admin', 'staff']) {
      await changePassword(prisma, `${role}@example.com`, PASSWORD)
    }
    const { stop } = await start(production)
    expect(await stop()).toBe(0)
  })
})
