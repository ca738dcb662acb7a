// Processes: kills workers, and keeps up the API of the demo.
import { join } from 'node:path'
import { createJobsClient, getJobRun, listJobRuns, listWorkers } from '@roundsman/engine/client'
import { createUserOfEachRole, openForTests, spawnProcess, waitFor } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import pg from 'pg'
import { describe } from 'vitest'
import { held } from './fixtures/held.ts'
import { inTransaction } from './openProduct.ts'
import { openRecordings, PATIENCE_MS } from './recordings.ts'

const recorded = openRecordings('processes')

const ROUNDSMAN = join(import.meta.dirname, '../../../cli/src/main.ts')
const API = join(import.meta.dirname, '../../../../apps/api/src/server.ts')
const PASSWORD = 'correct horse battery staple'
const patient = { timeoutMs: PATIENCE_MS }

const place = openForTests(async () => {
  const database = await openTestDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 5 })
  pool.on('error', () => undefined)
  const log = { error() {}, warn() {} }
  const client = createJobsClient({ databaseUrl: database.url, schema: 'public', log })
  await client.start()
  await createUserOfEachRole(database.prisma, PASSWORD)
  return {
    ...database,
    ...{ pool, client },
    async close() {
      await client.stop()
      await pool.end()
      await database.close()
    },
  }
})

const startWorker = () =>
  spawnProcess(ROUNDSMAN, {
    args: ['worker'],
    cwd: join(import.meta.dirname, 'fixtures'),
    env: { SHOP_DATABASE: place.url, SHOP_SCHEMA: 'public', DATABASE_URL: undefined },
  })

/** Enqueues work that goes on for so long, or until its signal is aborted, and waits until it runs. */
async function begin(ms: number) {
  const { workId } = await inTransaction(place.pool, (tx) => place.client.enqueue(tx, held, { ms }))
  const [run] = await waitFor(async () => {
    const { runs } = await listJobRuns(place.client.reader, { limit: 1, status: 'running', workId })
    return runs.length > 0 && runs
  }, patient)
  return { workId, id: run?.id ?? '' }
}
const runsOf = async (workId: string) =>
  (await listJobRuns(place.client.reader, { limit: 10, workId })).runs
    .map(({ id, outcome, status, attempt, errorCode, details }) => ({
      ...{ id, outcome, status, attempt, errorCode, details },
    }))
    .toSorted((one, other) => one.attempt - other.attempt)

describe('a worker process', () => {
  recorded('SIGKILL: another worker ends its run as lost, and runs its work again', async () => {
    const first = startWorker()
    const { workId } = await begin(600_000)
    const exit = await first.kill('SIGKILL')
    const second = startWorker()
    const [, again] = await waitFor(async () => {
      const runs = await runsOf(workId)
      return runs.length === 2 && runs
    }, patient)
    const alive = (await listWorkers(place.client.reader)).map(({ isAlive }) => isAlive)
    const cancelled = await place.client.cancelRun(again?.id ?? '', {
      actor: 'ada',
      reason: 'enough',
    })
    const result = await place.client.result(held, workId, patient)
    const stopped = await second.kill('SIGTERM')
    return { exit, alive, cancelled, result, stopped, runs: await runsOf(workId) }
  })

  recorded('SIGTERM: what runs finishes', async () => {
    const worker = startWorker()
    const { workId, id } = await begin(1_500)
    const exit = await worker.kill('SIGTERM')
    const { outcome, errorCode } = (await getJobRun(place.client.reader, id)) ?? {}
    return { exit, outcome, errorCode, result: await place.client.result(held, workId, patient) }
  })

  recorded('SIGTERM twice: what runs is given back', async () => {
    const worker = startWorker()
    const { workId } = await begin(600_000)
    process.kill(worker.pid, 'SIGTERM')
    await waitFor(
      () => worker.stdout.concat(worker.stderr).some((line) => /stop|drain/i.test(line)),
      patient,
    )
    const exit = await worker.kill('SIGTERM')
    const runs = await runsOf(workId)
    const result = await place.client.result(held, workId, { timeoutMs: 0 })
    const left = await place.client.cancelWork(
      { job: held, all: true },
      { actor: 'ada', reason: 'x' },
    )
    return { exit, runs, result, left }
  })

  recorded('console: serves until it is told to stop', async () => {
    const served = spawnProcess(ROUNDSMAN, {
      args: ['console'],
      cwd: join(import.meta.dirname, 'fixtures'),
      env: { SHOP_DATABASE: place.url, SHOP_SCHEMA: 'public', DATABASE_URL: undefined },
    })
    const link = /http:\S+/.exec(await served.waitForLine('http://', patient))?.[0] ?? ''
    const { origin } = new URL(link)
    const without = (await fetch(`${origin}/api/jobs`)).status
    const opened = await fetch(link, { redirect: 'manual' })
    const cookie = opened.headers.get('set-cookie')?.split(';')[0] ?? ''
    const inside = (await fetch(`${origin}/api/jobs`, { headers: { cookie } })).status
    const again = (await fetch(link, { redirect: 'manual' })).status
    const exit = await served.kill('SIGTERM')
    return { without, opened: opened.status, inside, again, exit }
  })
})

describe('the API of the demo', () => {
  recorded('log-in, and what each role may see', async () => {
    const server = spawnProcess(API, {
      env: {
        ...{ NODE_ENV: undefined, HOST: undefined, LOG_LEVEL: undefined, PORT: '0' },
        DATABASE_URL: place.url,
        JWT_SECRET: 'a secret for tests, of thirty-two or more characters',
      },
    })
    const line = await server.waitForLine('API listening at ', patient)
    const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0] ?? ''
    const logIn = (email: string, password = PASSWORD) =>
      fetch(`${url}/api/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email, password }),
      })
    const answers: Record<string, unknown> = {
      wrongPassword: (await logIn('admin@example.com', 'wrong')).status,
      noUser: (await logIn('nobody@example.com')).status,
    }
    for (const role of ['owner', 'admin', 'staff', 'nobody']) {
      const token = ((await (await logIn(`${role}@example.com`)).json()) as { token?: string })
        .token
      const ask = async (method: string, path: string, body?: object) => {
        const response = await fetch(url + path, {
          method,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(body && { 'content-type': 'application/json' }),
          },
          ...(body && { body: JSON.stringify(body) }),
        })
        await response.arrayBuffer()
        return response.status
      }
      const reason = { reason: 'a case' }
      answers[role] = {
        runs: await ask('GET', '/api/jobs/runs'),
        jobs: await ask('GET', '/api/jobs'),
        invoices: await ask('GET', '/api/invoices'),
        pause: await ask('POST', '/api/jobs/named/cleanupI18nCache/queue/pause', reason),
        resume: await ask('POST', '/api/jobs/named/cleanupI18nCache/queue/resume', reason),
        live: await ask('GET', '/health/live'),
        health: await ask('GET', '/health/jobs'),
        metrics: await ask('GET', '/metrics'),
        openapi: await ask('GET', '/docs/json'),
      }
    }
    const exit = await server.kill('SIGTERM')
    return { answers, exit }
  })
})
