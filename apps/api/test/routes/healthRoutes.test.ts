import { createDatabaseClient } from '@roundsman/db'
import { createJobsClient } from '@roundsman/runtime/client'
import { createTestDatabase } from '@roundsman/testing'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { JWT_SECRET } from '../createTestApi.ts'
import { expectProblem } from '../expectProblem.ts'

function open(url: string, readinessTimeoutMs = 10_000) {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'roundsman api tests',
    onPoolError: () => undefined,
  })
  // Not started: health does not ask the queue.
  const jobsClient = createJobsClient({ databaseUrl: url, log: pino({ level: 'silent' }) })
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
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const app = open(
    `postgresql://user@127.0.0.1:${(silent.address() as AddressInfo).port}/silent`,
    200,
  )
  // Before the client is closed, which would wait for them.
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  await app.ready()
  const responses = await Promise.all(Array.from({ length: 20 }, () => app.inject('/health/ready')))
  for (const response of responses) expectProblem(response, 503)
  expect(sockets).toHaveLength(1)
  // The answers did not wait for the connection attempt, which goes on.
  expect(sockets[0]?.readableEnded).toBe(false)
})
