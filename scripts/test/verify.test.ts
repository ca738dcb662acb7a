// Not quick: starts processes.
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createSmtpServer,
  createTestDatabase,
  type SmtpServer,
  type TestDatabase,
} from '@roundsman/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../../apps/api/src/app.ts'
import { createMailer } from '../../apps/worker/src/email/createMailer.ts'
import {
  createInvoiceRenderer,
  type InvoiceRenderer,
} from '../../apps/worker/src/invoicePdf/createInvoiceRenderer.ts'
import { readWorkerEnvironment } from '../../apps/worker/src/env.ts'
import { demoHandlers } from '../../apps/worker/src/jobs/demoHandlers.ts'
import { createHandlers } from '../../apps/worker/src/jobs/index.ts'
import { createDatabaseClient, type DatabaseClient } from '@roundsman/db'
import { jobs } from '@roundsman/jobs'
import { demoJobs } from '@roundsman/jobs/demo'
import { createLogger } from '@roundsman/node-app'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import { createWorker, type Worker } from '@roundsman/engine/worker'
import { seedDemoData } from '../seed/seedDemoData.ts'
import { findFreePort } from '@roundsman/local-postgres'
import { runVerify } from './stack.ts'

let database: TestDatabase
let prisma: DatabaseClient
let app: ReturnType<typeof buildApp>
let apiUrl: string
let jobsClient: JobsClient
let smtp: SmtpServer
let renderer: InvoiceRenderer
let worker: Worker

beforeAll(async () => {
  database = await createTestDatabase()
  await seedDemoData(database.url)
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'verify test',
    onPoolError: () => undefined,
  })
  const logger = createLogger({ app: 'api', level: 'silent' })
  jobsClient = createJobsClient({ schema: 'public', databaseUrl: database.url, log: logger })
  await jobsClient.start()
  app = buildApp({
    prisma,
    jobsClient,
    jobs,
    demoJobs,
    jwtSecret: 'a secret of a test, long enough to be one',
    logger,
  })
  apiUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  smtp = await createSmtpServer()
  renderer = createInvoiceRenderer()
  const env = readWorkerEnvironment({ SMTP_URL: smtp.url })
  const mailer = createMailer({ smtpUrl: smtp.url, from: env.MAIL_FROM })
  worker = createWorker({
    schema: 'public',
    databaseUrl: database.url,
    client: prisma,
    jobs: [...jobs, ...demoJobs],
    handlers: { ...createHandlers({ env, prisma, renderer, mailer }), ...demoHandlers },
    log: logger,
  })
  await worker.start()
})

afterAll(async () => {
  await app.close()
  await worker.stop({ drainTimeoutMs: 0 })
  await renderer.close()
  await smtp.close()
  await jobsClient.stop()
  await prisma.$disconnect()
  await database.drop()
})

test('passes against the API', async () => {
  const first = await runVerify({ BASE_URL: apiUrl })
  expect(first.stdout).not.toContain('FAIL')
  expect(first.stdout).toMatch(/first look-up of .*x-cache: miss/)
  expect(first.stdout).toMatch(/\n\d+ checks of .*: \d+ passed, 0 failed\n$/)
  expect(first.code).toBe(0)
})

interface Distortion {
  fails: RegExp
  when: (message: IncomingMessage) => boolean
  answer: [number, string]
}

const distortions: Distortion[] = [
  {
    fails: /FAIL {2}job runs: staff may not .*expected 403, got 200/,
    when: (message) => message.headers['x-real-status'] === '403',
    answer: [200, '{"runs":[]}'],
  },
  {
    fails: /FAIL {2}preview: the revoked one is rejected .*expected 410 revoked, got 200/,
    when: (message) =>
      String(message.headers['x-real-body']).includes('"revoked"') &&
      message.url!.includes('/public/'),
    answer: [200, '{"valid":true}'],
  },
  {
    fails: /FAIL {2}health: the API is ready .*expected 200, got 503: .*down/,
    when: (message) => message.url === '/health/ready',
    answer: [503, '{"detail":"down"}'],
  },
  {
    fails: /FAIL {2}job runs: a limit of 0 is refused .*expected 400, got 200/,
    when: (message) => message.url!.includes('limit=0'),
    answer: [200, '{"runs":[]}'],
  },
]

/** All in one run, because it takes long: none of them has an effect on another. */
test('fails where an answer is wrong, and only there', async () => {
  const proxy = await listen(distort(distortions))
  const { code, stdout } = await runVerify({ BASE_URL: urlOf(proxy) })
  proxy.close()
  for (const { fails } of distortions) expect(stdout).toMatch(fails)
  expect(stdout.match(/^FAIL/gm)).toHaveLength(distortions.length)
  expect(stdout).toMatch(new RegExp(`, ${distortions.length} failed\\n$`))
  expect(code).toBe(1)
})

test('says that nothing listens', async () => {
  const port = await findFreePort()
  const { code, stdout, stderr } = await runVerify({ PORT: String(port) })
  expect(stderr).toContain(`Nothing answers at http://127.0.0.1:${port}`)
  expect(stderr).toContain('npx -y pnpm@12 start')
  expect(stdout).toBe('')
  expect(code).toBe(2)
})

test('says that curl is missing', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'roundsman-verify-'))
  await symlink('/bin/bash', join(empty, 'bash'))
  const { code, stderr } = await runVerify({ BASE_URL: apiUrl, PATH: empty })
  expect(stderr).toContain('curl is missing')
  expect(code).toBe(2)
  await rm(empty, { recursive: true })
})

/** Passes each request on to the API, and replaces the answers that a distortion picks. */
function distort(those: readonly Distortion[]) {
  const answer = async (message: IncomingMessage, real: IncomingMessage, out: ServerResponse) => {
    const body = Buffer.concat(await real.toArray())
    message.headers['x-real-status'] = String(real.statusCode)
    message.headers['x-real-body'] = body.toString()
    const distortion = those.find(({ when }) => when(message))
    if (distortion === undefined) {
      out.writeHead(real.statusCode ?? 500, real.headers).end(body)
      return
    }
    const [status, text] = distortion.answer
    out.writeHead(status, { 'content-type': 'application/json' }).end(text)
  }
  return (message: IncomingMessage, out: ServerResponse) => {
    const { method, headers, url } = message
    const forwarded = request(apiUrl + url, { method, headers }, (real) => {
      void answer(message, real, out)
    })
    message.pipe(forwarded)
  }
}

function listen(
  handle: (message: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createServer(handle)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
