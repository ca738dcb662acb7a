// Not quick: starts and stops workers with drawn options.
import { readFile } from 'node:fs/promises'
import { waitFor } from '@roundsman/testing'
import {
  asOptions,
  DAYS_KEPT,
  hostileNumber,
  isWithin,
  JOB_NUMBERS,
  positive,
  TIMER,
  WAIT,
  whole,
  WORKER_NUMBERS,
  YEAR_MS,
  type Range,
} from '@roundsman/testing/hostileNumbers'
import fc from 'fast-check'
import * as prometheus from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createAlertWatcher, createAlertWebhook, type AlertOptions } from '../../src/alerts.ts'
import { getWork } from '../../src/client.ts'
import { ArgumentError, defineJob, defineLimit, pruneJobRuns } from '../../src/index.ts'
import { watchJobHealth, watchQueue } from '../../src/metrics.ts'
import { migrate } from '../../src/migrate.ts'
import { openTestJobs, type TestJobs } from '../../src/testing.ts'
import { createPinger, createWorker, run, runOnce, type Worker } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const letter = defineJob({ name: 'letter' })
const jobs = [letter] as const

const { runtime, client } = useClientRuntime()
let testJobs: TestJobs<typeof jobs>

beforeAll(async () => {
  testJobs = await openTestJobs({
    databaseUrl: runtime.url,
    client: runtime.prisma,
    jobs,
    handlers: { letter: async () => undefined },
  })
})

afterAll(() => testJobs.close())

const makeWorker = (options: object): Worker =>
  createWorker({
    databaseUrl: runtime.url,
    schema: 'public',
    client: runtime.prisma,
    jobs,
    handlers: { letter: async () => undefined },
    log: runtime.log,
    ...options,
  })

const makeAlerts = (options: object) =>
  createAlertWatcher({
    databaseUrl: runtime.url,
    schema: 'public',
    jobs,
    log: runtime.log,
    channels: [],
    ...(options as Partial<AlertOptions>),
  })
it.each([
  ['run', () => run(undefined as never), 'options'],
  ['run', () => run({} as never), 'databaseUrl'],
  ['runOnce', () => runOnce(null as never), 'options'],
  ['runOnce', () => runOnce({ databaseUrl: 'postgres://h/d' } as never), 'job'],
  ['createWorker', () => createWorker(undefined as never), 'options'],
  ['migrate', () => migrate(undefined as never), 'options'],
  ['migrate', () => migrate({} as never), 'databaseUrl'],
  ['migrate', () => migrate({ databaseUrl: '' }), 'databaseUrl'],
  ['defineJob', () => defineJob(undefined as never), 'options'],
  ['defineJob', () => defineJob({ name: 'a', retry: null as never }), 'retry'],
  ['defineJob', () => defineJob({ name: 'a', rateLimit: null as never }), 'rateLimit'],
  ['defineJob', () => defineJob({ name: 'a', unguarded: null as never }), 'unguarded'],
  ['defineLimit', () => defineLimit(null as never), 'options'],
  ['defineLimit', () => defineLimit({ name: 'a', rateLimit: null as never }), 'rateLimit'],
])('%s names the argument that is missing', async (_name, call, argument) => {
  const made = async () => await call()
  const error = await made().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ArgumentError)
  expect(error).toMatchObject({
    argument,
    message: expect.stringMatching(/ must be .+, such as |, not /),
  })
})

it('an error shows no password of a URL that is in the place of another value', () => {
  const timeoutMs = 'postgres://app:hush@db.example.com/shop' as never
  const define = () => defineJob({ name: 'a', timeoutMs })
  expect(define).toThrow('not "postgres://…@db.example.com/shop"')
})

const registry = () => ({ prometheus, registry: new prometheus.Registry() })
const health = { workersAlive: 1, problems: [] } as never

/** All that makes something from numbers of a caller's: what is called with such options, and their ranges. */
interface Interface {
  call: (options: object) => unknown
  /** By name; of an option within another by a path. */
  ranges: Readonly<Record<string, Range>>
}

const DURATION = whole(0, 999_999_999_999)
const COUNT: Range = { min: 0, max: Infinity }
const ALERTS: Readonly<Record<string, Range>> = {
  intervalMs: TIMER,
  sendTimeoutMs: TIMER,
  retryDelayMs: DURATION,
  giveUpAfterMs: DURATION,
  'limits.failureRate': { min: 0, max: 1 },
  'limits.failureOfOneMs': WAIT,
  'limits.queueMinWaiting': COUNT,
  'limits.queueGrowthMs': WAIT,
  'limits.noWorkerMs': WAIT,
}
const INTERFACES: Readonly<Record<string, Interface>> = {
  createWorker: {
    call: makeWorker,
    ranges: WORKER_NUMBERS,
  },
  'the alerts of createWorker': {
    call: ({ alerts }: { alerts?: object }) => makeWorker({ alerts: { channels: [], ...alerts } }),
    ranges: Object.fromEntries(
      Object.entries(ALERTS).map(([option, range]) => [`alerts.${option}`, range]),
    ),
  },
  'stop of a worker': {
    call: (options) => makeWorker({}).stop(options),
    ranges: { drainTimeoutMs: WAIT },
  },
  runOnce: {
    call: (options) =>
      runOnce({
        ...runtime.runOptions,
        job: pruneJobRuns,
        handler: undefined,
        ...options,
      }),
    ranges: DAYS_KEPT,
  },
  createAlertWatcher: { call: makeAlerts, ranges: ALERTS },
  'drain of a test': {
    call: (options) => testJobs.drain(options),
    ranges: { maxRuns: { min: 1, max: Infinity } },
  },
  'stop of an alert watcher': {
    call: (options) => makeAlerts({}).stop(options),
    ranges: { timeoutMs: WAIT },
  },
  createAlertWebhook: {
    call: (options) => createAlertWebhook({ url: 'http://127.0.0.1:9', ...options }),
    ranges: { timeoutMs: TIMER },
  },
  'close of a pinger': {
    call: (options) => createPinger({ urls: new Map() }).close(options),
    ranges: { timeoutMs: WAIT },
  },
  watchQueue: {
    call: (options) => watchQueue({ ...registry(), measure: async () => [], ...options }),
    ranges: { maxAgeMs: WAIT, timeoutMs: TIMER },
  },
  watchJobHealth: {
    call: (options) => watchJobHealth({ ...registry(), read: async () => health, ...options }),
    ranges: { maxAgeMs: WAIT, timeoutMs: TIMER },
  },
  defineJob: {
    call: (options) => defineJob({ name: 'drawn', ...options }),
    ranges: JOB_NUMBERS,
  },
  'defineJob with steps': {
    call: (options) => defineJob({ name: 'drawn', steps: { a: {} }, ...options }),
    ranges: { deadlineMs: positive(100 * YEAR_MS) },
  },
  'the concurrency of defineJob': {
    call: (concurrency) =>
      defineJob({
        name: 'drawn',
        payload: z.object({ tenant: z.string() }),
        partition: { key: ({ tenant }) => tenant },
        concurrency,
      }),
    ranges: {
      perWorker: positive(10_000),
      global: positive(1_000_000),
      perKey: positive(1_000_000),
    },
  },
  'the rate limit of defineJob': {
    call: (rateLimit) =>
      defineJob({
        name: 'drawn',
        rateLimit: { limit: 1, perMs: 1, ...rateLimit },
      }),
    ranges: { limit: positive(), perMs: positive(YEAR_MS) },
  },
  'the guard of defineJob': {
    call: (guard) => defineJob({ name: 'drawn', guard: { maxShare: 1, ...guard } }),
    ranges: {
      maxRows: positive(),
      minRows: positive(),
      maxShare: { min: Number.MIN_VALUE, max: 1 },
    },
  },
  'the schedule of defineJob': {
    call: (schedule) => defineJob({ name: 'drawn', schedule: { cron: '@daily', ...schedule } }),
    ranges: { catchUpMs: positive(10 * YEAR_MS) },
  },
}

const settings = Object.entries(INTERFACES).flatMap(([name, { ranges }]) =>
  Object.entries(ranges).map(([option, range]) => ({ name, option, range })),
)
const drawn = fc.constantFrom(...settings).chain(({ name, option, range }) =>
  fc.record({
    name: fc.constant(name),
    option: fc.constant(option),
    value: hostileNumber(range),
  }),
)

/** Whose numbers are parts of what a client is called with: everyCall.test.ts tries those. What a service says is taken as it can be: rateLimited.test.ts. */
const OF_CLIENTS = `
  EnqueueOptions AwaitResultOptions ReaderOptions JobsClientOptions ListJobRunsOptions ListJobTicksOptions RecentRunsOptions
  WorkerRunsOptions WaitOptions DeadLetterQuery WaitingWorkQuery PreviewQuery RateLimitedOptions`
/** A type as the reference has it, with the rows of its parts. */
const INTERFACE = /^\| \*\*`(\w+)((?:(?!^\| \*\*|^#).)*)/gms

/** An ArgumentError has the option as its argument; a definition's error names its job first. */
function toRefusal(error: unknown, option: string): string {
  const { message, argument } = error as { message: string; argument?: string }
  const isNamed = argument === option || message.startsWith(`Job "drawn": ${option} `)
  const isOfPart = message.startsWith('Job "drawn": ') && message.includes(`.${option} `)
  return error instanceof TypeError && (isNamed || isOfPart) ? `${option} is refused` : message
}

async function expectAnswer(name: string, option: string, value: unknown): Promise<void> {
  const { call, ranges } = INTERFACES[name] as Interface
  const asked = async () => await call(asOptions({ [option]: value }))
  const answer = await asked().then(
    () => 'taken',
    (error: unknown) => toRefusal(error, option),
  )
  const isTaken = isWithin(value, ranges[option] as Range)
  expect([option, value, answer]).toEqual([
    option,
    value,
    isTaken ? 'taken' : `${option} is refused`,
  ])
}

describe('a number that somebody sets', () => {
  it('is tried, whichever option it is', async () => {
    const reference = await readFile(
      new URL('../../../../docs/reference/engine.md', import.meta.url),
      'utf8',
    )
    const options = [...reference.matchAll(INTERFACE)].flatMap(([, name = '', body = '']) =>
      /(?:Options|Limits|Policy|Guard|Query|RateLimit|Retention)$/.test(name) &&
      !OF_CLIENTS.includes(name)
        ? [...body.matchAll(/(\w+)\??: number/g)].map(([, option = '']) => option)
        : [],
    )
    const tried = new Set(settings.map(({ option }) => option.split('.').at(-1) ?? ''))
    expect([...new Set(options)].filter((option) => !tried.has(option))).toEqual([])
    expect(options).toContain('drainTimeoutMs')
  })

  it('is taken within its range, and else refused by name before anything else happens', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ name, option, value }) => expectAnswer(name, option, value)),
      { numRuns: 600 },
    )
  })

  it('is taken at the ends of its range, and refused beyond', async () => {
    for (const { name, option, range } of settings)
      for (const value of [range.min, range.min - 1, range.max, range.max + 1])
        await expectAnswer(name, option, value)
  })

  it('is refused by name also where it has no text', async () => {
    for (const { name, option } of settings)
      for (const value of [Symbol('odd'), Object.create(null)]) {
        const { call } = INTERFACES[name] as Interface
        const asked = async () => await call(asOptions({ [option]: value }))
        const answer = await asked().catch((error: unknown) => toRefusal(error, option))
        expect([name, answer]).toEqual([name, `${option} is refused`])
      }
  })

  it.each(['min', 'max'] as const)(
    'is kept to at its %s: the worker does its work',
    async (end) => {
      const limits = Object.entries(WORKER_NUMBERS).map(([option, range]) => [option, range[end]])
      const options = asOptions(Object.fromEntries(limits))
      const worker = makeWorker(options)
      await worker.start()
      const { workId } = await client.enqueueNow(letter, {})
      await waitFor(async () => {
        const work = await getWork(client.reader, letter, workId)
        return work?.kind === 'completed'
      })
      await worker.stop()
      expect(worker.isReady()).toBe(false)
    },
  )

  it.each([Infinity, 2 ** 31, 1e300])(
    'has a drain of %d ms wait for the runs under way',
    async (drainTimeoutMs) => {
      const started = Promise.withResolvers<AbortSignal>()
      const finish = Promise.withResolvers<void>()
      const worker = makeWorker({
        handlers: {
          letter: async ({ signal }: { signal: AbortSignal }) => {
            started.resolve(signal)
            await finish.promise
          },
        },
      })
      await worker.start()
      const { workId } = await client.enqueueNow(letter, {})
      const signal = await started.promise
      const stopped = worker.stop({ drainTimeoutMs })
      // Longer than a timer that fires at once.
      for (let n = 0; n < 10; n++) await runtime.rows('select')
      expect(signal.aborted).toBe(false)
      finish.resolve()
      await stopped
      expect(await getWork(client.reader, letter, workId)).toEqual({ kind: 'completed' })
    },
  )

  it('is no reason to stop, if the time to drain is none', async () => {
    const worker = makeWorker({})
    await worker.start()
    await expect(worker.stop({ drainTimeoutMs: Number.NaN })).rejects.toThrow(
      'drainTimeoutMs must be a number of milliseconds, from 0 on, not NaN',
    )
    expect(worker.isReady()).toBe(true)
    await worker.stop()
  })
})

it.each([
  ...[Number.NaN, 0, '', null, true].map((value) => ['createWorker', 'alerts', value]),
  ...[5, {}, null, 'now'].map((value) => ['runOnce', 'signal', value]),
  ['createAlertWebhook', 'secret', ''],
] as [string, string, unknown][])(
  '%s refuses the %s %s before anything else happens',
  async (name, option, value) => {
    const asked = async () => await INTERFACES[name]?.call({ [option]: value })
    const answer = await asked().catch((error: unknown) => toRefusal(error, option))
    expect(answer).toBe(`${option} is refused`)
  },
)
