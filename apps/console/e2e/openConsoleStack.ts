import { buildConsole, createTestDatabase, createUserOfEachRole } from '@roundsman/testing'
import type { AddressInfo } from 'node:net'
// @boundaries-ignore the console is seen with the API that serves it, in the stack that a user starts
import { buildApp } from '../../../apps/api/src/app.ts'
// @boundaries-ignore the console is seen with the API that serves it, in the stack that a user starts
import { createApiLogger } from '../../api/src/http/createApiLogger.ts'
import { createDatabaseClient, type PrismaClient, type Role } from '@roundsman/db'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { createWorker } from '@roundsman/engine/worker'
import { createTestJobs, type TestJobs } from './createTestJobs.ts'

/** The version that the worker reports. */
const VERSION = 'b1946ac92492'
export const PASSWORD = 'correct horse battery staple'

export interface ConsoleStack extends Omit<TestJobs, 'handlers'> {
  /** Without a slash at its end. A restart of the server keeps it. */
  url: string
  prisma: PrismaClient
  userIds: Record<Role, string>
  /** Issues what a browser keeps in its cookie. */
  issueSession(role: Role): string
  /** Puts work into the queue as a program does. */
  enqueue(name: string, payload?: object): Promise<string>
  jobsClient: JobsClient
  /** What programs do to schedules that are data. */
  schedules: JobsClient['schedules']
  /** The event after which each client asked to go on, undefined if it named none; the latest last. */
  resumedFrom: (string | undefined)[]
  /** How far the server's clock is ahead of the true time. */
  setLead(ms: number): void
  stopServer(): Promise<void>
  startServer(): Promise<void>
  close(): Promise<void>
}

export interface ConsoleStackOptions {
  /** Whether there is nothing to see: no jobs, and no worker. */
  isEmpty?: boolean
  /** Default: `createTestJobs`. */
  testJobs?: TestJobs
  /** How often the event stream pings. Default: as in production. */
  pingIntervalMs?: number
}

/** Opens a stack: PostgreSQL, a worker, and the API, which serves the console as its sources are now. */
export async function openConsoleStack(options: ConsoleStackOptions = {}): Promise<ConsoleStack> {
  const { isEmpty = false, pingIntervalMs, testJobs = createTestJobs() } = options
  const [consoleDir, database] = await Promise.all([buildConsole(), createTestDatabase()])
  const { url: databaseUrl } = database
  const log = createApiLogger({ level: 'info', destination: { write: () => undefined } })
  const prisma = createDatabaseClient({
    url: databaseUrl,
    applicationName: 'roundsman console tests',
    onPoolError: () => undefined,
  })
  const { jobs: all, handlers, steps, partner } = testJobs
  const jobs = isEmpty ? [] : all
  const jobsClient = createJobsClient({ schema: 'public', databaseUrl, log })
  await jobsClient.start()
  const worker = isEmpty
    ? null
    : createWorker({
        schema: 'public',
        retention: false,
        databaseUrl,
        client: prisma,
        jobs: all,
        handlers,
        version: VERSION,
        log,
        drainTimeoutMs: 0,
      })
  await worker?.start()

  let leadMs = 0
  let app: ReturnType<typeof buildApp> | null = null
  let port = 0
  const resumedFrom: (string | undefined)[] = []

  async function startServer(): Promise<void> {
    const own = buildApp({
      prisma,
      jobsClient,
      jobs,
      jwtSecret: 'a secret for tests, of thirty-two or more characters',
      ...(pingIntervalMs !== undefined && { pingIntervalMs }),
      consoleDir,
      traceUrl: 'https://traces.example.com/{traceId}',
      logger: log,
      now: () => new Date(Date.now() + leadMs),
    })
    app = own
    own.addHook('onRequest', async ({ url, headers }) => {
      if (url === '/api/jobs/events')
        resumedFrom.push(headers['last-event-id'] as string | undefined)
    })
    await own.listen({ port, host: '127.0.0.1' })
    port = (own.server.address() as AddressInfo).port
  }

  async function stopServer(): Promise<void> {
    if (app === null) return
    const own = app
    app = null
    const closed = own.close()
    // A browser keeps its connections open as long as it can.
    own.server.closeAllConnections()
    await closed
  }

  await startServer()
  const userIds = await createUserOfEachRole(prisma, PASSWORD)

  return {
    url: `http://127.0.0.1:${port}`,
    jobs,
    jobsClient,
    schedules: jobsClient.schedules,
    resumedFrom,
    steps,
    partner,
    prisma,
    userIds,
    issueSession(role) {
      if (app === null) throw new Error('The server is stopped')
      return app.issueSession(userIds[role]).token
    },
    async enqueue(name, payload = {}) {
      const job = jobs.find((candidate) => candidate.name === name)
      if (!job) throw new Error(`There is no job ${name}`)
      const { workId } = await prisma.$transaction((tx) => jobsClient.enqueue(tx, job, payload))
      return workId
    },
    setLead(ms) {
      leadMs = ms
    },
    stopServer,
    startServer,
    async close() {
      await stopServer()
      await worker?.stop()
      await jobsClient.stop()
      await prisma.$disconnect()
      await database.drop()
    },
  }
}
