// Processes: runs an API and workers.
import { createOtlpReceiver, createTestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { createDatabaseClient, hashPassword } from '@roundsman/db'
import { startApi, startWorker } from './startProcesses.ts'

/** Has a process report on standard error when it loads OpenTelemetry's SDK. */
const TELL_WHAT_IS_LOADED = `--import=data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({
    load(url, context, nextLoad) {
      if (url.includes('sdk-trace')) process.stderr.write('loading ' + url + '\\n')
      return nextLoad(url, context)
    },
  })`)}`

let database: Awaited<ReturnType<typeof createTestDatabase>>
beforeAll(async () => {
  database = await createTestDatabase()
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  const passwordHash = await hashPassword('roundsman-demo')
  await prisma.user.create({ data: { email: 'owner@example.com', role: 'owner', passwordHash } })
  await prisma.$disconnect()
})
afterAll(() => database.drop())

async function startProcesses(extra: Record<string, string | undefined>) {
  const [{ api, url }, worker] = await Promise.all([
    startApi(database.url, extra),
    startWorker(database.url, extra),
  ])
  return { api, worker, url }
}

async function logIn(url: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'owner@example.com', password: 'roundsman-demo' }),
  })
  return ((await response.json()) as { token: string }).token
}

const requestRun = async (url: string, headers: Record<string, string> = {}) =>
  await fetch(`${url}/api/jobs/cleanupI18nCache/run`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await logIn(url)}`,
      ...headers,
    },
    body: JSON.stringify({ reason: 'hunter2' }),
  })

it('a request, what it puts into the queue and the run of that are one trace, over both processes', async () => {
  const receiver = await createOtlpReceiver()
  onTestFinished(() => receiver.close())
  const { api, worker, url } = await startProcesses({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    NODE_OPTIONS: TELL_WHAT_IS_LOADED,
  })
  const callerTraceId = 'ab'.repeat(16)
  const callerSpanId = 'cd'.repeat(8)
  const traceparent = `00-${callerTraceId}-${callerSpanId}-01`
  expect((await requestRun(url, { traceparent })).status).toBe(202)
  await fetch(`${url}/health/ready`)
  const finished = JSON.parse(await worker.waitForLine('job run finished')) as object
  // The processes send what is left when they end.
  expect(await Promise.all([api.kill(), worker.kill()])).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ])

  const ours = receiver.spans.filter(({ traceId }) => traceId === callerTraceId)
  const find = (name: string) => ours.find((span) => span.name === name)
  const request = find('POST /api/jobs/:name/run')
  const send = find('send cleanupI18nCache')
  const run = find('process cleanupI18nCache')
  expect(request).toMatchObject({
    service: 'roundsman-api',
    kind: 'server',
    parentSpanId: callerSpanId,
    attributes: { 'http.route': '/api/jobs/:name/run', 'http.response.status_code': 202 },
  })
  expect(send).toMatchObject({
    service: 'roundsman-api',
    kind: 'producer',
    parentSpanId: request?.spanId,
    attributes: { 'messaging.destination.name': 'cleanupI18nCache' },
  })
  expect(run).toMatchObject({
    service: 'roundsman-worker',
    kind: 'consumer',
    parentSpanId: send?.spanId,
    links: [{ traceId: callerTraceId, spanId: send?.spanId }],
    attributes: { 'roundsman.run.attempt': 1, 'roundsman.run.trigger': 'manual' },
    isError: false,
  })
  // The trace has the statements of both, as children of the spans that sent them.
  const statements = ours.filter(({ kind }) => kind === 'client')
  expect(statements.some(({ parentSpanId }) => parentSpanId === request?.spanId)).toBe(true)
  expect(statements.some(({ parentSpanId }) => parentSpanId === run?.spanId)).toBe(true)

  expect(finished).toMatchObject({
    traceId: callerTraceId,
    runId: run?.attributes['roundsman.run.id'],
  })
  const completed = api.stdout.find(
    (each) => each.includes('"msg":"request completed"') && each.includes(callerTraceId),
  )
  expect(completed).toBeDefined()
  const names = receiver.spans.map(({ name }) => name)
  expect(names).toContain('POST /api/auth/login')
  expect(names.join()).not.toContain('health')
  expect(JSON.stringify(receiver.spans)).not.toMatch(/hunter2|roundsman-demo/)
  // The last test looks for this.
  expect([...api.stderr, ...worker.stderr].join('')).toContain('loading ')
})

it('without a receiver no trace is begun, and nothing of the SDK loaded', async () => {
  const { api, worker, url } = await startProcesses({
    OTEL_EXPORTER_OTLP_ENDPOINT: undefined,
    NODE_OPTIONS: TELL_WHAT_IS_LOADED,
  })
  expect((await requestRun(url)).status).toBe(202)
  const finished = await worker.waitForLine('job run finished')
  await Promise.all([api.kill(), worker.kill()])
  expect(finished).not.toContain('traceId')
  expect([...api.stdout, ...worker.stdout].join('')).not.toContain('traceId')
  expect([...api.stderr, ...worker.stderr].join('')).not.toContain('loading ')
})
