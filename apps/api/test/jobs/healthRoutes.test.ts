// Not quick: waits for a database that does not answer.
import { createDatabaseClient, Prisma } from '@roundsman/db'
import { createJobsClient } from '@roundsman/engine/client'
import { isScheduled } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { createTestDatabase, expectProblem, HOLD_RUNS_SQL, openForTests } from '@roundsman/testing'
import { jobs } from '@roundsman/jobs'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'

function open(url: string, readinessTimeoutMs = 10_000) {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'roundsman api tests',
    onPoolError: () => undefined,
  })
  // Not started, because health needs no queue.
  const jobsClient = createJobsClient({
    schema: 'public',
    databaseUrl: url,
    log: pino({ level: 'silent' }),
  })
  const app = buildApp({ prisma, jobsClient, jobs: [], jwtSecret: JWT_SECRET, readinessTimeoutMs })
  onTestFinished(async () => {
    await app.close()
    await jobsClient.stop()
    await prisma.$disconnect()
  })
  return app
}

it('is live and ready with its database, and notices when that goes', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  const app = open(database.url)
  const live = await app.inject('/health/live')
  expect([live.statusCode, live.json()]).toEqual([200, { status: 'live' }])
  const ready = await app.inject('/health/ready')
  expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ready' }])
  await database.drop()
  expectProblem(await app.inject('/health/ready'), 503)
  expectProblem(await app.inject('/health/jobs'), 503)
  expect((await app.inject('/health/live')).statusCode).toBe(200)
})

it('is live and not ready when nothing listens at the database’s address', async () => {
  const app = open('postgresql://user:password@127.0.0.1:1/nowhere')
  const response = await app.inject('/health/ready')
  expectProblem(response, 503)
  expect(response.body).not.toContain('127.0.0.1')
  expect((await app.inject('/health/live')).statusCode).toBe(200)
})

it('does not wait long for a database that does not answer, nor asks it again for everybody', async () => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket.resume())).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const app = open(
    `postgresql://user@127.0.0.1:${(silent.address() as AddressInfo).port}/silent`,
    200,
  )
  // Before the client closes, which would wait for these connections.
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  await app.ready()
  for (const path of ['/health/jobs', '/health/ready']) {
    const responses = await Promise.all(Array.from({ length: 20 }, () => app.inject(path)))
    for (const response of responses) {
      expectProblem(response, 503)
      expect(response.json()).toMatchObject({ detail: 'The database does not answer' })
    }
  }
  // A connection for each of the statements about the jobs, one for readiness, one that listens for changes, and those
  // that measure the queue for the console's charts, again after a while. None for each of the forty requests.
  expect(sockets.length).toBeGreaterThanOrEqual(5)
  expect(sockets.length).toBeLessThan(10)
  // The answers did not wait for the attempts to connect, which go on.
  expect(sockets.filter(({ readableEnded }) => !readableEnded).length).toBeGreaterThanOrEqual(4)
})

describe('the jobs', () => {
  const NOW = '2026-11-24T09:00:00.000Z'
  const HOURLY = 'cleanupPreviewSessions'
  const scheduled = jobs.filter(isScheduled)

  const api = openForTests(createTestApi)
  let worker: { stop(): Promise<void> }
  beforeAll(async () => {
    worker = await startWorker()
  })
  afterAll(() => worker.stop())

  /** Starts a worker that lives and does nothing. */
  async function startWorker() {
    const { databaseUrl, prisma } = api
    const log = pino({ level: 'silent' })
    const started = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl,
      client: prisma,
      jobs: [],
      handlers: {},
      log,
    })
    await started.start()
    return started
  }

  beforeEach(async () => {
    api.clock.set(NOW)
    await api.prisma.$executeRaw`truncate "JobRun", "JobClaim", "JobSchedule"`
    await api.prisma.jobSchedule.createMany({
      data: scheduled.map(({ name }) => ({
        name,
        cron: name === HOURLY ? '0 * * * *' : '0 3 * * *',
        timeZone: 'UTC',
        cursor: new Date(NOW),
      })),
    })
  })

  const ask = () => api.app.inject('/health/jobs')
  async function problems() {
    const response = await ask()
    expectProblem(response, 503)
    return response.json<{ problems: unknown[] }>().problems
  }

  it('are well while every tick is decided, asked by anyone', async () => {
    const response = await ask()
    expect([response.statusCode, response.json()]).toEqual([
      200,
      { status: 'ok', paused: [], pausedQueues: [] },
    ])
  })

  it('are not when a tick stays undecided for longer than the grace of its job', async () => {
    api.clock.set('2026-11-24T10:01:00.000Z')
    expect((await ask()).statusCode).toBe(200)
    api.clock.advance(1)
    const response = await ask()
    expectProblem(response, 503)
    expect(response.json()).toMatchObject({
      detail: `no worker has decided ticks that are due of ${HOURLY} since 2026-11-24T10:00:00.000Z`,
      problems: [{ kind: 'late', jobs: [HOURLY], since: '2026-11-24T10:00:00.000Z' }],
    })
    // Once the tick is decided, all is well again.
    const cursor = new Date('2026-11-24T10:00:00.000Z')
    await api.prisma.jobSchedule.update({
      where: { name_key: { name: HOURLY, key: '' } },
      data: { cursor },
    })
    expect((await ask()).statusCode).toBe(200)
  })

  it('are well when the schedule that stands still is paused, which the answer names beside paused queues', async () => {
    api.clock.set('2026-11-24T12:00:00.000Z')
    const pausedAt = new Date(NOW)
    await api.prisma.jobSchedule.update({
      where: { name_key: { name: HOURLY, key: '' } },
      data: { pausedAt },
    })
    await api.prisma
      .$executeRaw`insert into "JobQueue" ("name", "pausedBy") values ('dispatchEmail', 'ann')`
    onTestFinished(async () => void (await api.prisma.$executeRaw`delete from "JobQueue"`))
    const response = await ask()
    expect([response.statusCode, response.json()]).toEqual([
      200,
      { status: 'ok', paused: [HOURLY], pausedQueues: ['dispatchEmail'] },
    ])
  })

  it('are not when a run goes on beyond its time-out and the grace', async () => {
    const [job] = scheduled
    const since = new Date(Date.parse(NOW) - job!.timeoutMs - 60_000)
    const run = { name: job!.name, trigger: 'schedule' as const, workerId: 'w1' }
    await api.prisma.jobRun.create({ data: { ...run, startedAt: since } })
    await api.prisma.jobRun.create({
      data: {
        ...run,
        startedAt: new Date(0),
        status: 'failed',
        errorCode: 'broken',
        endedAt: new Date(1),
      },
    })
    await api.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
    expect((await ask()).statusCode).toBe(200)
    api.clock.advance(1)
    expect(await problems()).toEqual([
      { kind: 'silent', jobs: [job!.name], since: since.toISOString() },
    ])
  })

  it('are not when no worker knows a schedule, as after half a deployment', async () => {
    await api.prisma.jobSchedule.delete({ where: { name_key: { name: HOURLY, key: '' } } })
    expect(await problems()).toEqual([{ kind: 'noWorker', jobs: [HOURLY], since: null }])
  })

  it('are not when no worker lives, be it on a database where none ever has', async () => {
    await worker.stop()
    await api.prisma.jobWorker.create({ data: { id: 'killed' } })
    expect(await problems()).toEqual([{ kind: 'noWorker', jobs: [], since: expect.any(String) }])
    await api.prisma.jobWorker.delete({ where: { id: 'killed' } })
    await api.prisma.$executeRaw`truncate "JobSchedule", "JobThrottle"`
    expect(await problems()).toEqual([{ kind: 'noWorker', jobs: [], since: null }])
    worker = await startWorker()
  })

  it('that are not well are no failure of the API, and not logged as one', async () => {
    api.clock.set('2026-11-25T09:00:00.000Z')
    const before = api.log.length
    await problems()
    expect(api.log.slice(before).filter(({ level }) => (level as number) >= 30)).toEqual([])
  })
})
