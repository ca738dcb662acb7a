import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { trace } from '@opentelemetry/api'
import { createOtlpReceiver, waitFor, type ReceivedSpan } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { startTracing } from '../../src/index.ts'
import type { Tracing } from '../../src/telemetry.ts'

const RUN = {
  id: 'r1',
  name: 'letter',
  attempt: 2,
  trigger: 'schedule',
  scheduledFor: new Date('2026-01-01T00:00:00Z'),
  dryRun: false,
  workId: 'q1',
  trace: null,
}

async function open(endpoint: string, { sampleShare = 1, exportTimeoutMs = 5_000 } = {}) {
  const problems: string[] = []
  const tracing = await startTracing({
    app: 'worker',
    version: '1',
    endpoint,
    sampleShare,
    exportTimeoutMs,
    onProblem: (reason) => void problems.push(reason),
  })
  if (tracing === null) throw new Error('There is an endpoint')
  return { tracing, problems }
}

/** The spans that arrive of what `work` traces. */
async function received(
  work: (tracing: Tracing) => Promise<unknown>,
  sampleShare = 1,
): Promise<ReceivedSpan[]> {
  const receiver = await createOtlpReceiver()
  onTestFinished(() => receiver.close())
  const { tracing } = await open(receiver.url, { sampleShare })
  await work(tracing)
  await tracing.close()
  return receiver.spans
}

it('is nothing without a receiver', async () => {
  const options = { app: 'api', version: '1', endpoint: undefined, sampleShare: 1 }
  expect(await startTracing({ ...options, onProblem: () => undefined })).toBeNull()
})

it('what a schedule has started begins a trace, and says how it failed', async () => {
  const [run] = await received(async ({ traceRun }) => {
    traceRun(RUN).ended({ kind: 'failed', code: 'too_warm' })
  })
  expect(run).toMatchObject({
    service: 'roundsman-worker',
    name: 'process letter',
    kind: 'consumer',
    parentSpanId: null,
    links: [],
    isError: true,
    attributes: {
      'messaging.message.id': 'q1',
      'roundsman.run.id': 'r1',
      'roundsman.run.attempt': 2,
      'roundsman.run.scheduled_for': '2026-01-01T00:00:00.000Z',
      'error.type': 'too_warm',
    },
  })
})

it('what a run enqueues is part of it, and each attempt at that a child of the same', async () => {
  const spans = await received(async ({ traceRun, traceEnqueue }) => {
    const outer = traceRun(RUN)
    const carried = await outer.within(() =>
      traceEnqueue({ name: 'parcel', count: 3 }, async (context) => context),
    )
    outer.ended({ kind: 'success' })
    for (const attempt of [1, 2]) {
      const inner = traceRun({ ...RUN, name: 'parcel', attempt, trace: carried ?? null })
      expect(inner.logFields).toEqual(outer.logFields)
      inner.ended({ kind: 'success' })
    }
  })
  const [send] = spans.filter(({ kind }) => kind === 'producer')
  const outer = spans.find(({ name }) => name === 'process letter')
  const inner = spans.filter(({ name }) => name === 'process parcel')
  expect(send).toMatchObject({
    name: 'send parcel',
    parentSpanId: outer?.spanId,
    attributes: { 'messaging.batch.message_count': 3 },
  })
  expect(inner.map(({ parentSpanId, links }) => [parentSpanId, links])).toEqual(
    [1, 2].map(() => [send?.spanId, [{ traceId: send?.traceId, spanId: send?.spanId }]]),
  )
})

it('work that could not be enqueued is an error of its span, and thrown on', async () => {
  const [send] = await received(async ({ traceEnqueue }) => {
    const refused = Object.assign(new Error('no'), { code: 'payload_invalid' })
    const put = traceEnqueue({ name: 'letter', count: 1 }, () => Promise.reject(refused))
    await expect(put).rejects.toBe(refused)
  })
  expect(send).toMatchObject({ isError: true, attributes: { 'error.type': 'payload_invalid' } })
})

it('statements have spans while something is traced, without their values, and not without end', async () => {
  const spans = await received(async ({ traceRun, traceDatabase }) => {
    let sent = 0
    const client = {
      query: async (statement: { text: string; values: unknown[] }) => {
        sent++
        if (statement.text.startsWith('drop'))
          throw Object.assign(new Error('no'), { code: '42501' })
        return statement.values
      },
    }
    traceDatabase(client)
    const select = () => client.query({ text: ' select $1', values: ['hunter2'] })
    await select()
    const run = traceRun(RUN)
    await run.within(async () => {
      expect(await select()).toEqual(['hunter2'])
      await expect(client.query({ text: 'drop table x', values: [] })).rejects.toThrow('no')
      for (let n = 0; n < 200; n++) await select()
    })
    run.ended({ kind: 'lost' })
    expect(sent).toBe(203)
  })
  const [run] = spans.filter(({ kind }) => kind === 'consumer')
  const statements = spans.filter(({ kind }) => kind === 'client')
  expect(run?.attributes['error.type']).toBe('run_lost')
  expect(statements).toHaveLength(100)
  expect(statements.every(({ parentSpanId }) => parentSpanId === run?.spanId)).toBe(true)
  expect(statements.slice(0, 2)).toMatchObject([
    { name: 'SELECT', attributes: { 'db.query.text': ' select $1' }, isError: false },
    { name: 'DROP', attributes: { 'error.type': '42501' }, isError: true },
  ])
  expect(JSON.stringify(spans)).not.toContain('hunter2')
})

it('a handler may have spans of its own', async () => {
  const spans = await received(async ({ traceRun }) => {
    const run = traceRun(RUN)
    await run.within(async () => trace.getTracer('shop').startSpan('weigh').end())
    run.ended({ kind: 'success' })
  })
  const find = (name: string) => spans.find((span) => span.name === name)
  expect(find('weigh')?.parentSpanId).toBe(find('process letter')?.spanId)
})

it('each step that is called has a span, and what it calls is part of that', async () => {
  const spans = await received(async ({ traceRun }) => {
    const run = traceRun(RUN)
    await run.within(async () => {
      await run.withinStep({ name: 'weigh' }, async () =>
        trace.getTracer('shop').startSpan('ask scales').end(),
      )
      const failing = run.withinStep({ name: 'post' }, () => Promise.reject(new Error('no')))
      await expect(failing).rejects.toThrow('no')
    })
    run.ended({ kind: 'success' })
  })
  const find = (name: string) => spans.find((span) => span.name === name)
  const run = find('process letter')
  expect(find('step weigh')).toMatchObject({ parentSpanId: run?.spanId, isError: false })
  expect(find('step post')).toMatchObject({ parentSpanId: run?.spanId, isError: true })
  expect(find('ask scales')?.parentSpanId).toBe(find('step weigh')?.spanId)
})

it('keeps the share that is wanted, and what a caller has wanted in any case', async () => {
  const spans = await received(async ({ traceRequest, traceRun }) => {
    traceRun(RUN).ended({ kind: 'success' })
    const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
    traceRequest('GET', { traceparent }).ended({ route: '/x', statusCode: 503 })
  }, 0)
  expect(spans).toMatchObject([{ name: 'GET /x', isError: true, traceId: 'ab'.repeat(16) }])
})

it('is closed in time under a receiver that does not answer', async () => {
  let requests = 0
  const silent = createServer(() => void requests++).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  onTestFinished(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  // Longer than this test may take.
  const { tracing } = await open(endpoint, { exportTimeoutMs: 60_000 })
  tracing.traceRun(RUN).ended({ kind: 'success' })
  await tracing.close({ timeoutMs: 200 })
  // The spans that were sent are still on their way.
  await waitFor(() => requests > 0)
  expect(requests).toBe(1)
})

it('says once that a receiver takes nothing', async () => {
  const refusing = createServer((_, response) => response.writeHead(401).end()).listen(
    0,
    '127.0.0.1',
  )
  await once(refusing, 'listening')
  onTestFinished(() => void refusing.close())
  const endpoint = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}/`
  const { tracing, problems } = await open(endpoint)
  tracing.traceRun(RUN).ended({ kind: 'success' })
  await waitFor(() => problems.length > 0)
  await tracing.close()
  expect(problems).toEqual([expect.stringMatching(/401|Unauthorized/)])
})
