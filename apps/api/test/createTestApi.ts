import type { DatabaseClient, Role } from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { createUserOfEachRole, fakeClock, type FakeClock } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { buildApp, type AppOptions } from '../src/app.ts'
import { createApiLogger } from '../src/http/createApiLogger.ts'

export const JWT_SECRET = 'a secret for tests, of thirty-two or more characters'
export const PASSWORD = 'correct horse battery staple'

export interface TestApi {
  app: FastifyInstance
  /** All routes, such as `GET /api/invoices/:id`. */
  routes: string[]
  prisma: DatabaseClient
  /** A started client on the same database. */
  jobsClient: JobsClient
  databaseUrl: string
  clock: FakeClock
  /** All lines that the API has logged. */
  log: Record<string, unknown>[]
  userIds: Record<Role, string>
  /** Sends a request as a user of that role. */
  as(role: Role, request: InjectOptions): Promise<LightMyRequestResponse>
  close(): Promise<void>
}

export interface TestApiOptions {
  metrics?: AppOptions['metrics']
  /** The folder of the console's build. Default: where `pnpm build` puts it. */
  consoleDir?: string
  eventsRecheckMs?: number
  /** Called once a request has been let in, before its body is read. */
  onAdmitted?(): void
}

/** Opens the real application on a database of its own, with a user of each role. */
export async function createTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const { metrics, consoleDir, eventsRecheckMs, onAdmitted = () => undefined } = options
  const database = await openTestDatabase()
  const { prisma } = database
  const clock = fakeClock('2026-11-24T09:00:00.000Z')
  const log: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void log.push(JSON.parse(line)) }
  const logger = createApiLogger({ level: 'debug', destination })
  const jobsClient = createJobsClient({ schema: 'public', databaseUrl: database.url, log: logger })
  await jobsClient.start()
  const app = buildApp({
    prisma,
    jobsClient,
    jobs,
    jwtSecret: JWT_SECRET,
    mailDomain: 'mail.example.com',
    logger,
    metrics,
    // On a busy machine an answer may be late although the database is there.
    readinessTimeoutMs: 10_000,
    now: clock.now,
    ...(consoleDir !== undefined && { consoleDir }),
    ...(eventsRecheckMs !== undefined && { eventsRecheckMs }),
  })
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    routes.push(...[method].flat().map((name) => `${name} ${url}`))
  })
  app.addHook('preParsing', async () => onAdmitted())
  await app.ready()

  const userIds = await createUserOfEachRole(prisma, PASSWORD)

  return {
    app,
    routes,
    prisma,
    jobsClient,
    databaseUrl: database.url,
    clock,
    log,
    userIds,
    as: (role, request) =>
      app.inject({
        ...request,
        headers: {
          ...request.headers,
          authorization: `Bearer ${app.issueToken(userIds[role])}`,
        },
      }),
    close: async () => {
      await app.close()
      await jobsClient.stop()
      await database.close()
    },
  }
}
