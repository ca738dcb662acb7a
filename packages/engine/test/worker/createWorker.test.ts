// Not quick: waits for retries.
import type { PrismaClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { jobsWithoutWorker } from '../../src/internal.ts'
import { defineJob, type Job, type RunContext, type TransactionOf } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { readWorkStates } from '../readWorkStates.ts'
import { readRuns, type RunRow } from '../readRuns.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { noClock } from '../fixtures/noClock.ts'

const echo = defineJob({
  name: 'echo',
  payload: z.object({ text: z.string(), n: z.number().default(0) }),
  retry: { limit: 1, delayMs: 1_000 },
  redact: (text) => text.replaceAll(/DE\d{20}/g, '[IBAN]'),
})
const brief = defineJob({ name: 'brief', timeoutMs: 100, retry: { limit: 0 } })
const single = defineJob({
  name: 'single',
  schedule: { cron: '0 0 1 1 *', overlap: 'queue' },
})
const jobs = [echo, brief, single] as const

type Transaction = TransactionOf<PrismaClient>
type Echo = RunContext<{ text: string; n: number }, Transaction>
type Empty = RunContext<Record<string, never>, Transaction>

const { runtime, client } = useClientRuntime({ cleared: [] })

interface Handlers {
  echo?: (context: Echo) => Promise<void>
  brief?: (context: Empty) => Promise<void>
  single?: (context: Empty) => Promise<void>
}

const nothing = async () => undefined

const startWorker = (
  handlers: Handlers,
  options: { only?: ('echo' | 'brief' | 'single')[] } = {},
) =>
  startTestWorker(runtime, {
    jobs,
    handlers: { echo: nothing, brief: nothing, single: nothing, ...handlers },
    clock: noClock,
    ...options,
  })

const runs = () => readRuns(runtime)
const queueStates = () => readWorkStates(runtime.rows)
const send = (text: string, n = 0) =>
  runtime.prisma.$transaction((tx) => client.enqueue(tx, echo, { text, n }))

describe('createWorker', () => {
  it('runs what was enqueued, and records it', async () => {
    const seen: string[] = []
    const worker = await startWorker({ echo: async ({ payload }) => void seen.push(payload.text) })
    const { workId } = await send('hello')

    const [run] = await waitFor(
      async () => (await runs()).filter(({ endedAt }) => endedAt).length && runs(),
    )
    expect(seen).toEqual(['hello'])
    expect(run).toMatchObject({
      name: 'echo',
      status: 'success',
      attempt: 1,
      workId,
      workerId: worker.id,
    })
    expect(await queueStates()).toEqual(['completed'])
  })

  it('takes the work of some jobs alone where it is told to, and says so; it schedules all', async () => {
    const worker = await startWorker({}, { only: ['brief'] })
    await send('left')
    await client.enqueueNow(brief, {})
    await waitFor(async () => (await runs()).some(({ endedAt }) => endedAt !== null))
    expect((await runs()).map(({ name }) => name)).toEqual(['brief'])
    expect((await queueStates()).toSorted()).toEqual(['completed', 'created'])
    expect(await runtime.rows('select "name" from "JobSchedule"')).toEqual([{ name: 'single' }])

    const names = jobs.map(({ name }) => name)
    const untaken = () => jobsWithoutWorker(runtime.reader, names)
    await runtime.rows(
      `insert into "JobWorker" ("id", "heartbeatAt")
       values ('dead', now() - interval '1 hour')`,
    )
    expect(await untaken()).toEqual(['echo', 'single'])
    await worker.stop()
    expect(await untaken()).toEqual(names)
    await startWorker({})
    await waitFor(async () => (await queueStates()).every((state) => state === 'completed'))
    expect(await untaken()).toEqual([])
  })

  it.each([
    [['echi'], 'only names "echi", which is no job of this worker: did you mean echo?'],
    [['nothing'], 'only names "nothing", which is no job of this worker; there are echo, brief'],
    [[], 'only names no job, and the worker would do nothing'],
  ])('is not made to take %j alone', async (only, message) => {
    await expect(startWorker({}, { only: only as never })).rejects.toThrow(message)
  })

  it.each(['only', 'except'] as const)('refuses an unknown job in %s', async (option) => {
    await expect(startWorker({}, { [option]: ['echi'] as never })).rejects.toThrow(
      `${option} names "echi", which is no job of this worker: did you mean echo?`,
    )
  })

  it('what starts is on record, committed, before the handler starts', async () => {
    let seen: RunRow[] = []
    await startWorker({
      echo: async () => void (seen = await runs()),
    })
    await send('hello')

    await waitFor(() => seen.length)
    expect(seen).toMatchObject([{ status: 'running', endedAt: null, details: null }])
  })

  it('a handler that throws ends its run as failed, and is tried again after the back-off', async () => {
    let attempts = 0
    await startWorker({
      echo: async () => {
        if (++attempts === 1) throw new Error('no luck')
      },
    })
    await send('hello')

    const [first, second] = await waitFor(
      async () => (await runs()).filter((r) => r.endedAt).length === 2 && runs(),
    )
    expect(first).toMatchObject({
      status: 'failed',
      attempt: 1,
      details: { error: { code: 'handler_failed', message: 'no luck' } },
    })
    expect(second).toMatchObject({ status: 'success', attempt: 2, workId: first!.workId })
  })

  it('what a handler threw is stored and logged masked', async () => {
    await startWorker({
      echo: ({ payload }) =>
        Promise.reject(
          new Error(
            `cannot mail ${payload.text} by smtp://me:letmein@mail.test with Bearer abc.def`,
          ),
        ),
    })
    await send('jane@customer.test of DE89370400440532013000')

    const [run] = await waitFor(async () => (await runs()).some(({ endedAt }) => endedAt) && runs())
    expect(run!.details).toEqual({
      error: {
        code: 'handler_failed',
        message:
          'cannot mail [redacted] of [IBAN] by smtp://[redacted]@mail.test with Bearer [redacted]',
        stack: expect.stringMatching(/^at echo \(packages.engine.test/),
      },
    })
    expect(JSON.stringify(runtime.lines)).not.toMatch(/jane@customer|DE89|letmein|abc\.def/)
  })

  it('a run that takes too long is aborted and ends as failed', async () => {
    let reason: unknown
    await startWorker({
      brief: ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            reason = signal.reason
            reject(new Error('stopped'))
          }),
        ),
    })
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, brief, {}))

    const [run] = await waitFor(async () => (await runs()).some(({ endedAt }) => endedAt) && runs())
    expect(run).toMatchObject({
      status: 'failed',
      details: { error: { code: 'timeout', message: 'The run took longer than 100 ms' } },
    })
    expect(reason).toMatchObject({ code: 'timeout' })
  })

  it('a run whose handler finishes after its abort ends as success', async () => {
    await startWorker({
      brief: ({ signal }) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    })
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, brief, {}))
    const [run] = await waitFor(async () => (await runs()).some(({ endedAt }) => endedAt) && runs())
    expect(run).toMatchObject({ status: 'success' })
  })

  it('work that does not finish in time is aborted, recorded, and given back at once', async () => {
    const worker = await startWorker({
      echo: ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    })
    await send('first')
    await waitFor(async () => (await runs()).length)
    await worker.stop({ drainTimeoutMs: 50 })

    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'drained' } } },
    ])
    expect(await queueStates()).toEqual(['retry'])
    // It is due at once: the back-off is for failures.
    expect(await runtime.rows('select from "JobWork" where "dueAt" > now()')).toHaveLength(0)

    await startWorker({})
    await waitFor(async () => (await queueStates())[0] === 'completed')
    expect((await runs()).map(({ status, attempt }) => [status, attempt])).toEqual([
      ['failed', 1],
      ['success', 2],
    ])
  })

  it.each(['toString', 'constructor'])(
    'fails a run whose handler is missing, also where every object has a function named %s',
    async (name) => {
      const { prisma } = runtime
      const nameless = defineJob({ name, retry: { limit: 0 } })
      // A host that loads its handlers when they are read, and finds none.
      const handlers = new Proxy({}, { get: () => undefined })
      await startTestWorker(runtime, { jobs: [nameless] as readonly Job[], handlers })
      await prisma.$transaction((tx) => client.enqueue(tx, nameless, {}))

      const [run] = await waitFor(async () =>
        (await runs()).some(({ endedAt }) => endedAt) ? await runs() : null,
      )
      expect(run).toMatchObject({
        status: 'failed',
        details: { error: { code: 'handler_missing', message: `There is no handler of ${name}` } },
      })
    },
  )

  it.each(['1.2\0', '\ud800', 'x'.repeat(10_001)])(
    'is not made with a version that nobody could store: %j',
    (version) => {
      const { url: databaseUrl, prisma } = runtime
      expect(() =>
        createWorker({ databaseUrl, client: prisma, jobs: [], handlers: {}, version }),
      ).toThrow(
        expect.objectContaining({
          name: 'ArgumentError',
          message: expect.stringMatching(/^version /),
        }),
      )
    },
  )

  it('logs how many jobs and schedules the product defines when it starts', async () => {
    const due = defineJob({ name: 'due', schedule: { cron: '0 4 * * *' } })
    const defined: Job[] = [due, ...['asked', 'askedToo'].map((name) => defineJob({ name }))]
    const handlers = Object.fromEntries(defined.map(({ name }) => [name, async () => undefined]))
    await startTestWorker(runtime, { jobs: defined, handlers })
    expect(runtime.lines).toContainEqual(
      expect.objectContaining({ msg: 'Jobs scheduler enabled', defined: '3 jobs, 1 schedule' }),
    )
  })

  it('logs the start and the end of a run with the fields that people search for', async () => {
    await startWorker({})
    await send('hello')
    const finished = await waitFor(() =>
      runtime.lines.find(({ msg }) => msg === 'job run finished'),
    )
    const started = runtime.lines.find(({ msg }) => msg === 'job run started')
    const [run] = await runs()

    expect(started).toMatchObject({ name: 'echo', runId: run!.id, attempt: 1, trigger: 'queue' })
    expect(finished).toMatchObject({
      name: 'echo',
      runId: run!.id,
      attempt: 1,
      status: 'success',
      durationMs: expect.any(Number),
    })
    expect(runtime.lines.some(({ msg }) => msg === 'Jobs scheduler enabled')).toBe(true)
  })
})

describe('the work of a tick', () => {
  const beat = defineJob({ name: 'beat', schedule: { cron: '* * * * * *', overlap: 'allow' } })
  const start = (more: { only?: ['echo'] }) =>
    startTestWorker(runtime, {
      jobs: [beat, echo],
      handlers: { beat: nothing, echo: nothing },
      ...more,
    })

  it('is notified of only where the worker that decided the tick does not take it', async () => {
    const listener = new pg.Client({ connectionString: runtime.url })
    await listener.connect()
    onTestFinished(() => listener.end())
    const heard: string[] = []
    listener.on('notification', ({ payload = '' }) => heard.push(payload))
    await listener.query('listen roundsman_work')

    const worker = await start({})
    await waitFor(async () => (await runs()).filter(({ endedAt }) => endedAt).length >= 2)
    await worker.stop()
    expect(heard).toEqual([])

    await start({ only: ['echo'] })
    await waitFor(() => heard.some((payload) => payload.includes('beat')))
  })
})
