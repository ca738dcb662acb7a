// Not quick: calls every function of every entry with thousands of wrong values.
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { hostileValue, makeHostile, ODD_NAMES } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import * as prometheus from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as alerts from '../../src/alerts.ts'
import { checkMap, checkWait } from '../../src/arguments/signals.ts'
import * as client from '../../src/client.ts'
import type { KeyedTickQuery } from '../../src/client.ts'
import * as engine from '../../src/index.ts'
import type { JobOptions } from '../../src/index.ts'
import * as metrics from '../../src/metrics.ts'
import * as migrate from '../../src/migrate.ts'
import * as testing from '../../src/testing.ts'
import type { TestJobs } from '../../src/testing.ts'
import * as worker from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const { ArgumentError, JobError } = engine
const { runtime, client: jobsClient } = useClientRuntime()

const letter = engine.defineJob({ name: 'letter', schedule: { cron: '@daily' }, dryRun: true })
const jobs = [letter] as const
const handlers = { letter: async () => undefined }
const id = '0189f7a4-3c1e-7d2b-9a4f-0123456789ab'
const at = new Date('2026-11-24T09:00:00Z')
const later = new Date('2030-11-24T09:00:00Z')
const after = { at: '2026-11-24T09:00:00.000Z', id }
const by = { actor: 'ada', reason: 'a test' }

let testJobs: TestJobs<typeof jobs>
beforeAll(async () => {
  testJobs = await testing.openTestJobs({
    databaseUrl: runtime.url,
    client: runtime.prisma,
    jobs,
    handlers,
  })
})
afterAll(() => testJobs.close())

/** Interfaces of options of which each part is tried, as the reference names them. */
const tried = new Set<string>()

/** Takes all parts of an interface of options: TypeScript demands each. Marks an object that refuses names that it does not know. */
function all<Options>(name: string, options: { [Name in keyof Required<Options>]: unknown }) {
  tried.add(name)
  return strict(options)
}
const STRICT = new WeakSet<object>()
function strict<Options extends object>(options: Options): Options {
  STRICT.add(options)
  return options
}

/** A call whose arguments are right. It ends what it has opened. */
interface Call {
  args: () => unknown[]
  call: (...args: never[]) => unknown
  /** Why it is refused where all is right, so that nothing is started. */
  refusal?: string
}

const close = (opened: { close(): unknown }) => opened.close()
const target = () => ({ prometheus, registry: new prometheus.Registry() })
const log = () => console
const isStrict = (value: unknown) =>
  typeof value === 'object' && value !== null && STRICT.has(value)

const limitsOfAlerts = () =>
  all<alerts.AlertLimits>('AlertLimits', {
    failureRate: 0.5,
    failureOfOneMs: 60_000,
    queueMinWaiting: 5,
    queueGrowthMs: 60_000,
    noWorkerMs: 60_000,
  })
const alertOptions = () =>
  all<alerts.AlertOptions>('AlertOptions', {
    channels: [{ name: 'one', send: async () => undefined }],
    limits: limitsOfAlerts(),
    consoleUrl: 'http://127.0.0.1:9',
    intervalMs: 1_000,
    sendTimeoutMs: 1_000,
    retryDelayMs: 1_000,
    giveUpAfterMs: 1_000,
  })
const retention = () =>
  all<worker.Retention>('Retention', {
    runDays: 30,
    failedDays: 30,
    actionDays: 30,
    keyedTickDays: 7,
  })
/** What createWorker takes, and what `run` does. */
const workerOptions = () =>
  all<worker.WorkerOptions<typeof jobs, never>>('WorkerOptions', {
    databaseUrl: runtime.url,
    schema: 'public',
    client: runtime.prisma,
    jobs,
    handlers,
    retention: retention(),
    concurrency: 5,
    drainTimeoutMs: 5,
    uncaught: 'contain',
    onFatal: () => undefined,
    watchdog: true,
    except: ['letter'],
    only: undefined,
    alerts: alertOptions(),
    clock: undefined,
    version: '1',
    handlersModule: new URL('file:///handlers.js'),
    log: log(),
    keepLogs: true,
    observers: [],
    traceEnqueue: () => ({}) as never,
    now: () => new Date(),
  })

const INDEX: Record<string, Call> = {
  cronProblem: { args: () => ['@daily', 'UTC'], call: engine.cronProblem },
  defineHandlersModule: {
    args: () => [async () => ({}) as never],
    call: engine.defineHandlersModule,
  },
  defineJob: {
    args: () => [
      all<JobOptions<'job', unknown, unknown>>('JobOptions', {
        name: 'job',
        description: 'text',
        payload: z.object({ tenant: z.string() }),
        schedule: all<engine.ScheduleOptions>('ScheduleOptions', {
          cron: '@daily',
          timeZone: 'UTC',
          missed: 'once',
          catchUpMs: 5_000,
          overlap: 'skip',
        }),
        timeoutMs: 5_000,
        deadlineMs: undefined,
        retry: all<engine.RetryPolicy>('RetryPolicy', { limit: 1, delayMs: 5, maxDelayMs: 5 }),
        concurrency: all<engine.ConcurrencyOptions>('ConcurrencyOptions', {
          perWorker: 5,
          global: 5,
          perKey: 5,
        }),
        partition: all<engine.PartitionOptions<unknown>>('PartitionOptions', {
          key: () => 'key',
          order: 'fair',
        }),
        limits: [engine.defineLimit({ name: 'shared', global: 5 })],
        rateLimit: all<engine.RateLimit>('RateLimit', { limit: 5, perMs: 5, by: 'key' }),
        isDestructive: true,
        guard: all<engine.Guard>('Guard', { maxRows: 50, maxShare: 0.5, minRows: 5 }),
        unguarded: undefined,
        dryRun: false,
        isolate: all<engine.IsolationLimits>('IsolationLimits', { memoryMb: 64 }),
        label: () => 'label',
        show: ['tenant'],
        redact: (text: string) => text,
        result: z.object({}),
        steps: undefined,
      }),
    ],
    call: engine.defineJob,
  },
  defineLimit: {
    args: () => [
      all<engine.SharedLimitOptions>('SharedLimitOptions', {
        name: 'shared',
        global: 5,
        rateLimit: strict({ limit: 5, perMs: 5 }),
      }),
    ],
    call: engine.defineLimit,
  },
  defineSignal: {
    args: () => [
      all<engine.SignalOptions>('SignalOptions', { name: 'approved', payload: z.object({}) }),
    ],
    call: engine.defineSignal,
  },
  definePayload: { args: () => [(value: unknown) => value], call: engine.definePayload },
  isEngineJob: { args: () => [letter], call: engine.isEngineJob },
  isScheduled: { args: () => [letter], call: engine.isScheduled },
  nearest: { args: () => ['lettr', ['letter']], call: engine.nearest },
  nextTick: { args: () => [{ cron: '@daily', timeZone: 'UTC' }, at], call: engine.nextTick },
  reschedule: { args: () => [letter, '@hourly', 'A_VARIABLE'], call: engine.reschedule },
  withEngineJobs: { args: () => [[letter]], call: engine.withEngineJobs },
  JobError: {
    args: () => [
      'code',
      'message',
      all<engine.JobErrorOptions>('JobErrorOptions', {
        cause: 1,
        retryable: false,
        details: { more: 1 },
      }),
    ],
    call: (...args: [string, string]) => void new JobError(...args),
  },
  RateLimited: {
    args: () => [
      all<engine.RateLimitedOptions>('RateLimitedOptions', {
        retryAfter: 5,
        scope: 'job',
        message: 'text',
        cause: 1,
      }),
    ],
    call: (...args: []) => void new engine.RateLimited(...args),
  },
}

const WORKER: Record<string, Call> = {
  createPinger: {
    args: () => [
      all<worker.PingerOptions>('PingerOptions', {
        urls: new Map([['letter', new URL('http://127.0.0.1:9')]]),
        log: log(),
        onOutcome: () => undefined,
      }),
    ],
    call: worker.createPinger,
  },
  createWorker: { args: () => [workerOptions()], call: worker.createWorker },
  // Their client is none that anybody knows, and nothing is at that address, so that nothing starts.
  run: {
    args: () => [
      all<worker.RunOptions<typeof jobs, never>>('RunOptions', {
        ...workerOptions(),
        databaseUrl: 'postgres://127.0.0.1:1/none',
        client: {},
        migrate: false,
      }),
    ],
    call: worker.run,
    refusal: 'client',
  },
  runOnce: {
    args: () => {
      const { databaseUrl, schema, version, handlersModule, keepLogs, observers, traceEnqueue } =
        workerOptions() as unknown as worker.RunOnceOptions<typeof letter, never>
      return [
        all<worker.RunOnceOptions<typeof letter, never>>('RunOnceOptions', {
          ...{ databaseUrl, schema, version, handlersModule, keepLogs, observers, traceEnqueue },
          log: log(),
          now: () => new Date(),
          client: {},
          retention: retention(),
          job: letter,
          handler: handlers.letter,
          payload: {},
          deadLetter: undefined,
          dryRun: true,
          actor: 'ada',
          signal: AbortSignal.abort(),
        }),
      ]
    },
    call: worker.runOnce,
    refusal: 'client',
  },
}

const ALERTS: Record<string, Call> = {
  createAlertWatcher: {
    args: () => [
      all<alerts.AlertWatcherOptions>('AlertWatcherOptions', {
        ...alertOptions(),
        databaseUrl: runtime.url,
        schema: 'public',
        jobs,
        log: log(),
      }),
    ],
    call: alerts.createAlertWatcher,
  },
  createAlertWebhook: {
    args: () => [
      all<alerts.AlertWebhookOptions>('AlertWebhookOptions', {
        url: 'http://127.0.0.1:9',
        secret: 'secret',
        format: 'json',
        name: 'webhook',
        timeoutMs: 5,
      }),
    ],
    call: alerts.createAlertWebhook,
  },
}

const METRICS: Record<string, Call> = {
  countPings: { args: () => [target()], call: metrics.countPings },
  createRunMetrics: { args: () => [target(), ['letter']], call: metrics.createRunMetrics },
  watchWorker: { args: () => [target(), { isReady: () => true }], call: metrics.watchWorker },
  watchQueue: {
    args: () => [
      all<metrics.QueueWatchOptions>('QueueWatchOptions', {
        ...target(),
        measure: async () => [],
        maxAgeMs: 5,
        timeoutMs: 5,
      }),
    ],
    call: metrics.watchQueue,
  },
  watchJobHealth: {
    args: () => [
      all<metrics.JobHealthWatchOptions>('JobHealthWatchOptions', {
        ...target(),
        read: async () => ({ problems: [] }),
        maxAgeMs: 5,
        timeoutMs: 5,
      }),
    ],
    call: metrics.watchJobHealth,
  },
  watchOldestSnapshot: {
    args: () => [
      all<metrics.OldestSnapshotWatchOptions>('OldestSnapshotWatchOptions', {
        ...target(),
        read: async () => null,
        maxAgeMs: 5,
        timeoutMs: 5,
      }),
    ],
    call: metrics.watchOldestSnapshot,
  },
}

const MIGRATE: Record<string, Call> = {
  migrate: {
    args: () => [
      all<migrate.MigrateOptions>('MigrateOptions', {
        databaseUrl: runtime.url,
        schema: 'public',
        log: {},
      }),
    ],
    call: migrate.migrate,
  },
}

const TESTING: Record<string, Call> = {
  openTestJobs: {
    args: () => [
      all<testing.TestJobsOptions<typeof jobs, never>>('TestJobsOptions', {
        databaseUrl: runtime.url,
        client: {},
        jobs,
        handlers,
        now: at,
        crash: 'never',
        log: {},
      }),
    ],
    call: testing.openTestJobs,
    refusal: 'client',
  },
}

/** Methods of what `openTestJobs` returns, which is a client too. */
const OF_TESTS: Record<string, Call> = {
  run: {
    args: () => [
      letter,
      {},
      all<testing.TestRunOptions>('TestRunOptions', { dryRun: true, actor: 'ada' }),
    ],
    call: (...args: [typeof letter, never]) => testJobs.run(...args),
  },
  drain: {
    args: () => [all<testing.DrainOptions>('DrainOptions', { maxRuns: 5 })],
    call: (...args: []) => testJobs.drain(...args),
  },
  advance: {
    args: () => [strict({ weeks: 0, days: 0, hours: 0, minutes: 0, seconds: 0, milliseconds: 1 })],
    call: (...args: [number]) => testJobs.advance(...args),
  },
  enqueued: { args: () => [letter], call: (job: typeof letter) => testJobs.enqueued(job) },
  assertEnqueued: {
    args: () => [letter, {}, strict({ count: 0, startAfter: at, priority: 5, uniqueKey: 'key' })],
    call: (...args: [typeof letter]) => testJobs.assertEnqueued(...args),
  },
}

const HANDLES: Record<string, Call> = {
  'stop of a worker': {
    args: () => [strict({ drainTimeoutMs: 5 })],
    call: (...args: []) => worker.createWorker(workerOptions() as never).stop(...args),
  },
  'stop of an alert watcher': {
    args: () => [strict({ timeoutMs: 5 })],
    call: (...args: []) =>
      alerts.createAlertWatcher({ databaseUrl: runtime.url, jobs, channels: [] }).stop(...args),
  },
  'close of a pinger': {
    args: () => [strict({ timeoutMs: 5 })],
    call: (...args: []) => worker.createPinger({ urls: new Map() }).close(...args),
  },
}

const reading = (call: (...args: never[]) => unknown, ...args: unknown[]): Call => ({
  args: () => [jobsClient.reader, ...args],
  call,
})

const CLIENT: Record<string, Call> = {
  createJobsClient: {
    args: () => [
      all<client.JobsClientOptions>('JobsClientOptions', {
        databaseUrl: runtime.url,
        schema: 'public',
        log: log(),
        traceEnqueue: undefined,
      }),
    ],
    call: (...args: [never]) => client.createJobsClient(...args).stop(),
  },
  openReader: {
    args: () => [
      all<client.ReaderOptions>('ReaderOptions', {
        databaseUrl: runtime.url,
        schema: 'public',
        log: log(),
        poolSize: 1,
        statementTimeoutMs: 5_000,
      }),
    ],
    call: (...args: [never]) => close(client.openReader(...args)),
  },
  getJobHealth: reading(client.getJobHealth, jobs, at),
  getJobRun: reading(client.getJobRun, id),
  getManyWork: reading(client.getManyWork, letter, [id]),
  getOldestSnapshot: reading(client.getOldestSnapshot),
  getQueueStats: reading(client.getQueueStats, ['letter']),
  getWork: reading(client.getWork, letter, id),
  getWorkByKey: reading(client.getWorkByKey, letter, 'key', at),
  listDeadLetters: reading(
    client.listDeadLetters,
    all<client.DeadLetterQuery>('DeadLetterQuery', {
      ...{ limit: 5, after, name: 'letter', label: 'x', labelPart: 'x', key: 'k' },
      ...{ shown: { field: 'x', value: 'x' }, errorCode: 'x' },
    }),
  ),
  listJobRuns: reading(
    client.listJobRuns,
    all<client.ListJobRunsOptions>('ListJobRunsOptions', {
      ...{ limit: 5, after, name: 'letter', status: 'failed', outcome: 'lost' },
      ...{ trigger: 'queue', errorCode: 'x', workId: id, from: at, to: at, label: 'x' },
      ...{ worker: 'w', minDurationMs: 1, maxDurationMs: 2, key: 'k' },
    }),
  ),
  listProblems: reading(client.listProblems, jobs, at),
  listSchedules: reading(client.listSchedules, ['letter']),
  listSteps: reading(client.listSteps, id),
  listWaitingWork: reading(
    client.listWaitingWork,
    all<client.WaitingWorkQuery>('WaitingWorkQuery', {
      ...{ limit: 5, after, name: 'letter', label: 'x', labelPart: 'x', key: 'k' },
      ...{ shown: { field: 'x', value: 'x' }, order: 'last' },
    }),
  ),
  listWorkers: reading(client.listWorkers),
}

const inTransaction = async (work: (tx: never) => Promise<unknown>) =>
  await runtime.prisma.$transaction(async (tx) => await work(tx as never))
const acting = (method: 'cancelRun' | 'requestRun', ...args: unknown[]): Call => ({
  args: () => args,
  call: (...given: never[]) => (jobsClient[method] as (...all: never[]) => unknown)(...given),
})
const byRequest = (more: object = {}) => strict({ ...by, ...more })
const act = (method: string, ...args: unknown[]): [string, Call] => [
  method,
  acting(method as 'cancelRun', ...args),
]
const workOfLetter = () => strict({ job: letter, ids: [id], label: 'x', key: 'k', all: undefined })

/** Methods of a client. Those that enqueue get a transaction that is right, before what is wrong. */
const OF_CLIENT: Record<string, Call> = {
  enqueue: {
    args: () => [
      letter,
      {},
      all<engine.EnqueueOptions>('EnqueueOptions', {
        priority: 1,
        startAfter: at,
        uniqueKey: 'k',
        onConflict: 'replace',
        maxWaitMs: 5,
        expiresAt: later,
        enqueuedBy: 'a test',
      }),
    ],
    call: (...args: [typeof letter, never]) =>
      inTransaction((tx) => jobsClient.enqueue(tx, ...args)),
  },
  enqueueMany: {
    args: () => [letter, [strict({ payload: {}, options: strict({ priority: 1 }) })]],
    call: (...args: [typeof letter, never]) =>
      inTransaction((tx) => jobsClient.enqueueMany(tx, ...args)),
  },
  enqueueNow: {
    args: () => [letter, {}, strict({ priority: 1 })],
    call: (...args: [typeof letter, never]) => jobsClient.enqueueNow(...args),
  },
  enqueueManyNow: {
    args: () => [letter, [strict({ payload: {}, options: strict({ priority: 1 }) })]],
    call: (...args: [typeof letter, never]) => jobsClient.enqueueManyNow(...args),
  },
  signal: {
    args: () => [
      engine.defineSignal({ name: 'approved' }),
      all<engine.SentSignal>('SentSignal', {
        ...{ key: 'k', id: 'i', payload: {} },
        ...{ actor: 'ada', reason: 'she asked' },
      }),
    ],
    call: (...args: [engine.Signal, engine.SentSignal]) =>
      inTransaction((tx) => jobsClient.signal(tx, ...args)),
  },
  signalNow: {
    args: () => [
      engine.defineSignal({ name: 'approved' }),
      strict({ key: 'k', id: 'i', payload: {} }),
    ],
    call: (...args: [engine.Signal, engine.SentSignal]) => jobsClient.signalNow(...args),
  },
  readerIn: {
    args: () => [{}],
    call: (tx: never) => void jobsClient.readerIn(tx),
    refusal: 'tx',
  },
  watchChanges: {
    args: () => [strict({ onChange: () => undefined, onGap: () => undefined, probeMs: 5_000 })],
    call: (options: never) => close(jobsClient.watchChanges(options)),
  },
  result: {
    args: () => [
      letter,
      id,
      all<client.AwaitResultOptions>('AwaitResultOptions', {
        timeoutMs: 0,
        signal: new AbortController().signal,
      }),
    ],
    // Nobody waits as long as it takes.
    call: (job: typeof letter, workId: string, options: client.AwaitResultOptions) =>
      jobsClient.result(job, workId, options),
  },
  ...Object.fromEntries([
    act('requestRun', letter, byRequest({ dryRun: true, payload: {} })),
    act('runAgain', letter, id, byRequest({ dryRun: true, payload: {} })),
    act(
      'showPayload',
      strict({ runId: id, workId: id, step: 'a', item: 'b' }),
      byRequest({ jobs: [letter] }),
    ),
    act('explain', id),
    act('steps', id),
    act(
      'answerDoubt',
      strict({ workId: id, step: 'charge', item: 'a', job: letter }),
      byRequest({ happened: true, result: {} }),
    ),
    act('cancelRun', id, byRequest()),
    act('approveRun', id, byRequest()),
    act('pauseSchedule', 'letter', byRequest(), { tx: undefined }),
    act('resumeSchedule', 'letter', byRequest()),
    act('pauseQueue', 'letter', byRequest()),
    act('resumeQueue', 'letter', byRequest()),
    act('cancelWork', workOfLetter(), byRequest()),
    act('postponeWork', workOfLetter(), byRequest({ startAfter: at })),
    act('prioritiseWork', workOfLetter(), byRequest({ priority: 1 })),
    act(
      'redriveDeadLetters',
      strict({ filter: strict({ name: 'letter', errorCode: 'x' }) }),
      byRequest({
        jobs: [letter],
        evenIfWorkersDied: false,
        from: strict({ step: 'a', item: 'b' }),
      }),
    ),
    act('discardDeadLetters', strict({ ids: [id] }), byRequest()),
    act(
      'actOnMany',
      byRequest({
        kind: 'redrive',
        which: strict({
          ...{ name: 'letter', label: 'x', labelPart: 'x', key: 'k', errorCode: 'x' },
          shown: { field: 'x', value: 'x' },
          runs: strict({ name: 'letter', from: at, minDurationMs: 1 }),
        }),
        jobs: [letter],
      }),
    ),
  ]),
}

const schedule = () =>
  strict({
    ...{ key: 'k', cron: '0 9 * * *', timeZone: 'UTC', payload: {}, keepsPayload: false },
    ...{ missed: 'once', catchUpMs: 5, overlap: 'skip', jitterMs: 5, startsAt: at, endsAt: later },
    ...{ allowSeconds: true, ifVersion: undefined, ...by },
  })
const scheduling = (method: string, ...args: unknown[]): [string, Call] => [
  method,
  {
    args: () => [letter, ...args],
    call: (...given: never[]) =>
      inTransaction((tx) =>
        (jobsClient.schedules as never as Record<string, (...all: never[]) => Promise<unknown>>)[
          method
        ]!(tx, ...given),
      ),
  },
]
const OF_SCHEDULES: Record<string, Call> = {
  ...Object.fromEntries([
    scheduling('upsert', schedule()),
    scheduling('upsertMany', [schedule()]),
    scheduling('pause', 'k', byRequest()),
    scheduling('resume', 'k', byRequest()),
    scheduling('trigger', 'k', byRequest()),
    scheduling('backfill', 'k', byRequest({ from: at, to: at })),
    scheduling('delete', 'k', byRequest({ ifVersion: 2 })),
  ]),
  list: {
    args: () => [
      all<client.ScheduleQuery>('ScheduleQuery', {
        ...{ name: 'letter', search: 'k', state: 'late', limit: 5 },
        after: strict({ name: 'letter', key: 'k' }),
      }),
    ],
    call: (query: never) => jobsClient.schedules.list(query),
  },
  get: {
    args: () => [strict({ name: 'letter', key: 'k' })],
    call: (of: never) => jobsClient.schedules.get(of),
  },
  ticks: {
    args: () => [
      all<KeyedTickQuery>('KeyedTickQuery', {
        ...{ name: 'letter', key: 'k', limit: 5, before: after.at },
      }),
    ],
    call: (query: never) => jobsClient.schedules.ticks(query),
  },
  preview: {
    args: () => [
      all<client.PreviewQuery>('PreviewQuery', {
        ...{ cron: '0 9 * * *', timeZone: 'UTC', startsAt: at, endsAt: later, after: at, count: 5 },
      }),
    ],
    call: (query: never) => jobsClient.schedules.preview(query),
  },
}

const OF_LIMITS: Record<string, Call> = {
  set: {
    args: () => [strict({ job: letter }), strict({ global: 5, parked: undefined }), byRequest()],
    call: (...args: [never, never, never]) => jobsClient.limits.set(...args),
  },
  list: { args: () => [], call: () => jobsClient.limits.list() },
}
const OF_KEYS: Record<string, Call> = {
  set: {
    args: () => [letter, 'k', strict({ perKey: 2, paused: at, parked: undefined }), byRequest()],
    call: (...args: [never, never, never, never]) => jobsClient.keys.set(...args),
  },
  list: {
    args: () => [
      letter,
      all<client.KeyQuery>('KeyQuery', { key: 'k', limit: 5, order: 'waiting' }),
    ],
    call: (...args: [never, never]) => jobsClient.keys.list(...args),
  },
  get: {
    args: () => [letter, 'k'],
    call: (...args: [never, never]) => jobsClient.keys.get(...args),
  },
}

const ENTRIES = {
  engine: [engine, INDEX],
  alerts: [alerts, ALERTS],
  client: [client, CLIENT],
  metrics: [metrics, METRICS],
  migrate: [migrate, MIGRATE],
  testing: [testing, TESTING],
  worker: [worker, WORKER],
} as const
const OF_DURABLE_JOBS: Record<string, Call> = {
  defineJob: {
    args: () => [
      strict({
        name: 'durable',
        steps: {
          mail: all<engine.StepOptions>('StepOptions', {
            ...{ effect: 'once', result: z.object({}), was: ['letter'] },
            signal: engine.defineSignal({ name: 'approved' }),
            retry: strict({ limit: 1, delayMs: 5, maxDelayMs: 5 }),
          }),
        },
      }),
    ],
    call: (options: never) => engine.defineJob(options),
  },
}

/** What \`step.waitFor\` takes behind the name of the step. */
const OF_HANDLERS: Record<string, Call> = {
  waitFor: {
    args: () => [
      engine.defineSignal({ name: 'approved' }),
      all<engine.WaitOptions>('WaitOptions', { key: 'k', timeout: 5, item: 'i' }),
    ],
    call: (signal: engine.Signal, options: unknown) =>
      void checkWait('approval', signal, undefined, options),
  },
  map: {
    args: () => [
      letter,
      [{}],
      all<engine.MapOptions>('MapOptions', { onFailure: 'collect', item: 'i' }),
    ],
    call: (...args: [unknown, unknown, unknown]) => void checkMap(...args),
  },
}

const METHODS = {
  'of durable handlers': OF_HANDLERS,
  'of durable jobs': OF_DURABLE_JOBS,
  'of a client': OF_CLIENT,
  'of schedules': OF_SCHEDULES,
  'of limits': OF_LIMITS,
  'of keys': OF_KEYS,
  'of tests': OF_TESTS,
}

const CALLS = [
  ...Object.values(ENTRIES).flatMap(([, calls]) => Object.entries(calls)),
  ...Object.entries(METHODS).flatMap(([of, calls]) =>
    Object.entries(calls).map(([name, call]) => [`${name} ${of}`, call] as const),
  ),
  ...Object.entries(HANDLES),
]

/** Errors that only the engine throws, and values that it returns: a program has nothing to pass to them. */
const NO_CALLS = [
  'ArgumentError',
  'ChildFailed',
  'StepFailed',
  'TablesError',
  'PoolerError',
  'MigrationDeniedError',
  'MigrationRefusedError',
]
const VALUES = ['pruneJobRuns']
const MAX_PUBLIC = 70

type Path = readonly (string | number)[]

/** Each argument, and each part of one. What another call has made is whole. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  const made: unknown[] = [letter, prometheus, runtime.prisma, jobsClient.reader]
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype
  if (made.includes(value) || !isPlain) return [path]
  return [
    path,
    ...Object.entries(value as object).flatMap(([key, part]) => pathsIn(part, [...path, key])),
  ]
}

const partAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], value)

function replaceAt(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as never
  Object.assign(copy, { [key]: replaceAt((value as never)[key], rest, other) })
  return copy
}

/** Values of the right kind, or nearly, that no database holds or nobody means. */
const NEAR = fc.constantFrom<() => unknown>(
  ...['nope', '\0', '\ud83d', '', id.toUpperCase(), "x' or true --"].map((text) => () => text),
  ...[-1, 0, 0.5, 2 ** 31, 1e21].map((number) => () => number),
  ...[8.64e15, -8.64e15, -7e13].map((ms) => () => new Date(ms)),
)

/** Longer than any call takes that is refused, or works. */
const HANGS_AFTER_MS = 20_000

async function outcomeOf({ call }: Call, args: unknown): Promise<unknown> {
  const waiting = new AbortController()
  const made = async () => {
    await call(...(args as never[]))
    return null
  }
  const hung = delay(HANGS_AFTER_MS, new Error('it hangs'), { signal: waiting.signal })
  try {
    return await Promise.race([made().catch((error: unknown) => error), hung])
  } finally {
    waiting.abort()
    hung.catch(() => undefined)
  }
}

/** Codes of an address at which there is no database, or none for this role. */
const AWAY = /^(?:ECONN|ENOTFOUND|EAI_|28|3D|57P0)/
const DOCUMENTED = ['JobError', 'TablesError', 'MigrationDeniedError', 'MigrationRefusedError']

/** What is wrong with the outcome; null where nothing is. */
function problemOf(outcome: unknown, names: ReadonlySet<string>): string | null {
  if (outcome === null) return null
  if (outcome instanceof ArgumentError) {
    // The name itself is what the call does not know.
    if (outcome.message.includes(' is unknown: ')) return null
    const isNamed = outcome.argument.split(/[.[\]]+/).some((name) => names.has(name))
    return isNamed ? null : `names no argument: ${outcome.argument}`
  }
  const { name, code, message } = outcome as { name?: string; code?: string; message?: string }
  const isOfClock =
    outcome instanceof RangeError && message?.startsWith('The clock cannot be moved')
  const isDocumented = DOCUMENTED.includes(name ?? '') || name === 'AssertionError' || isOfClock
  if (isDocumented || AWAY.test(code ?? '')) return null
  return inspect(outcome)
}

const namesOf = (args: unknown[], call: string): Set<string> =>
  new Set([
    ...pathsIn(args).flatMap((path) => path.map(String)),
    // Arguments themselves have names of their own, which the list of a call does not have.
    ...['options', 'reader', 'tx', 'job', 'jobs', 'jobNames', 'id', 'key', 'runId', 'workId'],
    ...['which', 'ids', 'settings', 'request', 'query', 'whose', 'name', 'names', 'now', 'workIds'],
    ...['uniqueKey', 'failedSince', 'by', 'payload', 'expected', 'items', 'schedules', 'of'],
    ...['target', 'worker', 'problem', 'schedule', 'after', 'cron', 'setBy', 'read', 'open'],
    ...['signal', 'sent', 'payloads'],
    ...[
      'code',
      'message',
      'wanted',
      'from',
      'to',
      'handlers',
      'actor',
      'queue',
      'client',
      'filter',
    ],
    call,
  ])

describe('what a program passes in', () => {
  it('is tried of every function of every entry, and of every method', () => {
    for (const [entry, [module, calls]] of Object.entries(ENTRIES)) {
      const exported = Object.keys(module).filter((name) => !VALUES.includes(name))
      const known = [...Object.keys(calls), ...NO_CALLS.filter((name) => name in module)]
      expect([entry, exported.toSorted()]).toEqual([entry, known.toSorted()])
    }
    const methodsOf = (of: object) =>
      Object.keys(of).filter((name) => typeof (of as Record<string, unknown>)[name] === 'function')
    const takeNothing = ['start', 'stop', 'areConnectionsLasting']
    expect(new Set(methodsOf(jobsClient))).toEqual(
      new Set([...Object.keys(OF_CLIENT), ...takeNothing, 'close']),
    )
    expect(new Set(methodsOf(jobsClient.schedules))).toEqual(new Set(Object.keys(OF_SCHEDULES)))
    expect(new Set(methodsOf(jobsClient.limits))).toEqual(new Set(Object.keys(OF_LIMITS)))
    expect(new Set(methodsOf(jobsClient.keys))).toEqual(new Set(Object.keys(OF_KEYS)))
    const ofTests = methodsOf(testJobs).filter((name) => !(name in jobsClient))
    expect(new Set(ofTests)).toEqual(
      new Set([...Object.keys(OF_TESTS), 'now', 'reset', 'enqueueFrom']),
    )
  })

  it('is no more than can be learnt in one sitting', () => {
    const values = Object.values(ENTRIES).flatMap(([module]) => Object.keys(module))
    expect(values.length).toBeLessThanOrEqual(MAX_PUBLIC)
  })

  it('is tried of every interface of options', async () => {
    for (const [, { args }] of CALLS) args()
    const reference = await readFile(
      new URL('../../../../docs/reference/engine.md', import.meta.url),
      'utf8',
    )
    const listed = [
      ...reference.matchAll(
        /^\| \*\*`(\w+(?:Options|Limits|Policy|Query|Guard|RateLimit|Retention))\b/gm,
      ),
    ]
    const names = new Set(listed.map(([, name = '']) => name))
    // What acts take is `{ tx }` alone; the other is part of those that watch.
    const parts = ['ActionOptions', 'FreshnessOptions']
    expect([...names].filter((name) => !tried.has(name)).toSorted()).toEqual(parts)
    expect(names.size).toBeGreaterThan(20)
  })

  it.each(CALLS)('of %s, is taken where it is right', async (_name, call) => {
    const outcome = await outcomeOf(call, call.args())
    const refusal = outcome instanceof ArgumentError ? outcome.argument : outcome
    const isOpen = outcome === null || problemOf(outcome, new Set([call.refusal ?? ''])) === null
    expect(isOpen ? (call.refusal ?? null) : refusal).toBe(call.refusal ?? null)
  })

  it.each(CALLS)('of %s, is refused where its name is misspelled', async (_name, call) => {
    for (const path of pathsIn(call.args()).filter((one) => isStrict(partAt(call.args(), one)))) {
      const args = call.args()
      const part = partAt(args, path) as Record<string, unknown>
      const [known = 'x'] = Object.keys(part)
      const misspelled = `${known}s`
      const given = replaceAt(args, path, { ...part, [misspelled]: part[known] })
      const outcome = await outcomeOf(call, given)
      expect([path, outcome]).toEqual([path, expect.any(ArgumentError)])
      expect([path, (outcome as InstanceType<typeof ArgumentError>).argument]).toEqual([
        path,
        expect.stringMatching(new RegExp(`(?:^|\\.)${misspelled}$`)),
      ])
      expect((outcome as Error).message).toMatch(
        /is unknown: (?:did you mean|the options are|set )/,
      )
    }
  })

  it.each(CALLS)(
    'of %s, works or ends in an error that names it, whatever is odd',
    { timeout: 600_000 },
    async (name, call) => {
      const known = namesOf(call.args(), name)
      for (const path of pathsIn(call.args()).filter((one) => one.length > 0))
        for (const odd of ODD_NAMES) {
          const given = replaceAt(call.args(), path, makeHostile({ is: 'odd', name: odd }))
          const problem = problemOf(await outcomeOf(call, given), known)
          expect([path, odd, problem]).toEqual([path, odd, null])
        }
    },
  )

  it('works or ends in an error that names it, where several are drawn', async () => {
    const far = hostileValue({ maxCount: 20_000, maxLevels: 100 })
    const drawn = fc.constantFrom(...CALLS).chain(([name, call]) => {
      const path = fc.constantFrom(...pathsIn(call.args()).filter((one) => one.length > 0), [0])
      const wrong = fc.tuple(
        path,
        fc.oneof(
          NEAR,
          far.map((value) => () => makeHostile(value)),
        ),
      )
      return fc.record({
        name: fc.constant(name),
        wrongs: fc.array(wrong, { minLength: 1, maxLength: 3 }),
      })
    })
    await fc.assert(
      fc.asyncProperty(drawn, async ({ name, wrongs }) => {
        const call = CALLS.find(([one]) => one === name)?.[1] as Call
        // The longest path first: a part is replaced before what holds it.
        const inOrder = wrongs.toSorted(([one], [other]) => other.length - one.length)
        const given = inOrder.reduce<unknown>(
          (args, [path, make]) => replaceAt(args, path, make()),
          call.args(),
        )
        const problem = problemOf(await outcomeOf(call, given), namesOf(call.args(), name))
        expect([name, problem]).toEqual([name, null])
      }),
      { numRuns: 1_000 },
    )
  })

  it('is a transaction of the caller only where one belongs', async () => {
    const before = await runtime.rows('select * from "JobAction"')
    /** As Kysely's: it has no property of its own. */
    const tx = new (class Transaction {
      readonly #driver = runtime.prisma
      get driver() {
        return this.#driver
      }
    })()
    const hasActor = (part: unknown) => Object.hasOwn(Object(part) as object, 'actor')
    const acts = [OF_CLIENT, OF_LIMITS, OF_KEYS].flatMap((calls) =>
      // A signal has its transaction first, as work that is enqueued.
      Object.entries(calls).filter(
        ([name, call]) => name !== 'signal' && call.args().some(hasActor),
      ),
    )
    expect(acts.length).toBeGreaterThan(15)
    for (const [name, call] of acts) {
      const args = call.args().filter((part) => !Object.hasOwn(Object(part) as object, 'tx'))
      const among = args.map((part) => (hasActor(part) ? { ...(part as object), tx } : part))
      for (const misplaced of [[...args, tx], among]) {
        const outcome = await outcomeOf(call, misplaced)
        expect([name, outcome]).toEqual([name, expect.any(ArgumentError)])
        expect(String(outcome)).toContain('as { tx }')
      }
    }
    expect(await runtime.rows('select * from "JobAction"')).toEqual(before)
  })
})
