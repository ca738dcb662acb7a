// Not quick: starts the processes of isolated runs, and waits for retries.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  defineJob,
  defineLimit,
  JobError,
  pruneJobRuns,
  RateLimited,
  type EnqueueOptions,
  type Handler,
  type HandlersFor,
  type Job,
  type JobOptions,
  type PayloadOf,
} from '@roundsman/engine'
import { createAlertWatcher, type AlertNotice } from '@roundsman/engine/alerts'
import {
  createJobsClient,
  getJobRun,
  getOldestSnapshot,
  getQueueStats,
  listJobRuns,
  listProblems,
  listSchedules,
  listWaitingWork,
  listWorkers,
  type JobsClient,
} from '@roundsman/engine/client'
import {
  countPings,
  createRunMetrics,
  watchJobHealth,
  watchOldestSnapshot,
  watchQueue,
  watchWorker,
} from '@roundsman/engine/metrics'
import { openTestJobs } from '@roundsman/engine/testing'
import {
  createPinger,
  createWorker,
  run,
  runOnce,
  type PgTransaction,
  type RunOnceOptions,
  type WorkerOptions,
} from '@roundsman/engine/worker'
import { createDatabaseClient } from '@roundsman/db'
import { createTestDatabase, openForTests, waitFor as waitBriefly } from '@roundsman/testing'
import pg from 'pg'
import * as prometheus from 'prom-client'
import { afterAll, describe } from 'vitest'
import { z } from 'zod'
import { isolated, isolatedBrief } from './fixtures/isolated.ts'
import { by, inTransaction, START } from './openProduct.ts'
import { openRecordings, PATIENCE_MS, refusal } from './recordings.ts'

const recorded = openRecordings('worker')
const waitFor: typeof waitBriefly = (predicate) =>
  waitBriefly(predicate, { timeoutMs: PATIENCE_MS })

type Act = Handler<{ act: string }, PgTransaction>

/** A job of which each case says what its runs do. */
type Asked = { act: string; key?: string | undefined }
function probe<Name extends string>(name: Name, more: Partial<JobOptions<Name, Asked>> = {}) {
  const payload = z.strictObject({ act: z.string(), key: z.string().optional() })
  return defineJob<Name, Asked>({ name, payload, retry: { limit: 0 }, ...more })
}
const ofKey = ({ key }: Asked) => key
const service = defineLimit({ name: 'service', global: 1 })

const plain = probe('plain', { dryRun: true })
const retried = probe('retried', { retry: { limit: 1, delayMs: 1_000 } })
const brief = probe('brief', { timeoutMs: 500 })
const guarded = probe('guarded', { isDestructive: true, guard: { maxRows: 10, maxShare: 0.5 } })
const single = probe('single', { concurrency: { global: 1 } })
const fair = probe('fair', { concurrency: { perKey: 1 }, partition: { key: ofKey } })
const fifo = probe('fifo', { partition: { key: ofKey, order: 'fifo' } })
const narrow = probe('narrow', { concurrency: 1 })
const slow = probe('slow', { rateLimit: { limit: 1, perMs: 3_600_000 } })
const oneOfService = probe('oneOfService', { limits: [service] })
const otherOfService = probe('otherOfService', { limits: [service] })
const exclusive = probe('exclusive', { schedule: { cron: '0 0 1 1 *', overlap: 'queue' } })
const told = probe('told', { label: ({ act }) => `Act ${act.length}`, show: ['act'] })
const paused = probe('paused')
const observed = probe('observed')
const answering = defineJob({
  name: 'answering',
  payload: z.strictObject({ act: z.string() }),
  result: z.strictObject({ n: z.number() }),
  retry: { limit: 0 },
})

const probes = [
  ...[plain, retried, brief, guarded, single, fair, fifo, narrow, slow],
  ...[oneOfService, otherOfService, exclusive, told, paused, observed],
] as const
const jobs = [...probes, answering, isolated, isolatedBrief] as const
const acts = new Map<string, Act>()
const perform: Act = async (context) => await acts.get(context.payload.act)?.(context)
const ofProbes = Object.fromEntries(probes.map(({ name }) => [name, perform]))
const handlers = {
  ...ofProbes,
  answering: perform,
  isolated: async () => undefined,
  isolatedBrief: async () => undefined,
} as unknown as HandlersFor<typeof jobs, PgTransaction>

/** What is no error. */
const aText: unknown = 'a text'
const nothing: unknown = undefined

const silent = { error() {}, warn() {}, info() {}, debug() {} }

/** A database with the tables, and what a product has of it. */
async function openPlace() {
  const { url, drop } = await createTestDatabase()
  const pool = new pg.Pool({ connectionString: url, max: 20 })
  pool.on('error', () => undefined)
  await pool.query('create table "Effect" ("act" text)')
  const client = createJobsClient({ databaseUrl: url, schema: 'public', log: silent })
  await client.start()
  return {
    url,
    pool,
    client,
    async close() {
      await client.stop()
      await pool.end()
      await drop()
    },
  }
}
type Place = Awaited<ReturnType<typeof openPlace>>

const seen: object[] = []
const place = openForTests(async () => {
  const opened = await openPlace()
  const worker = createWorker({
    databaseUrl: opened.url,
    schema: 'public',
    client: opened.pool,
    jobs,
    handlers,
    handlersModule: join(import.meta.dirname, 'fixtures/isolated.ts'),
    log: silent,
    version: 'v1',
    observers: [
      {
        runStarted: ({ name, trigger, attempt }) => {
          seen.push({ started: name, trigger, attempt })
          return { ended: (end) => void seen.push({ ended: name, ...end }) }
        },
      },
    ],
  })
  await worker.start()
  return {
    ...opened,
    worker,
    async close() {
      await worker.stop({ drainTimeoutMs: 0 })
      await opened.close()
    },
  }
})

const put = <J extends Job>(
  job: J,
  payload: PayloadOf<J>,
  options?: EnqueueOptions,
  { pool, client }: Pick<Place, 'pool' | 'client'> = place,
) => inTransaction(pool, (tx) => client.enqueue(tx, job, payload, options))

/** Enqueues work that does this. */
async function begin(job: Job, does: Act, more: object = {}, options?: EnqueueOptions) {
  const act = randomUUID()
  acts.set(act, does)
  const { workId } = await put(job, { act, ...more }, options)
  return { act, workId }
}

const runsOf = async (workId: string, client: JobsClient = place.client) =>
  (await listJobRuns(client.reader, { limit: 20, workId })).runs
    .map(({ id, status, outcome, trigger, attempt, errorCode, details, progress, dryRun }) => ({
      ...{ id, status, outcome, trigger, attempt, errorCode, details, progress, dryRun },
    }))
    .toSorted((one, other) => one.attempt - other.attempt)

/** What became of work that does this. */
async function became(job: Job, does: Act, more: object = {}, options?: EnqueueOptions) {
  const { workId } = await begin(job, does, more, options)
  const result = await finished(workId, job)
  return { result, runs: await runsOf(workId) }
}

/** An act that goes on until it is released. */
function held() {
  const begun = Promise.withResolvers<string>()
  const gate = Promise.withResolvers<void>()
  const does: Act = async ({ run: { id }, signal }) => {
    begun.resolve(id)
    signal.addEventListener('abort', () => gate.reject(signal.reason as Error))
    await gate.promise
  }
  return { does, begun: begun.promise, release: () => gate.resolve() }
}

const effects = async (act: string, pool = place.pool) =>
  (await pool.query('select from "Effect" where "act" = $1', [act])).rowCount
const addEffect = async (tx: PgTransaction, act: string) => {
  await tx.query('insert into "Effect" values ($1)', [act])
}
const reasons = async (workId: string) => {
  const explained = await place.client.explain(workId)
  return explained?.reasons.map(({ kind, runs }) => [kind, runs.length])
}
const finished = (workId: string, job: Job = plain) =>
  place.client.result(job, workId, { timeoutMs: PATIENCE_MS })

describe.concurrent('one worker', () => {
  recorded('success: the run as it is read', async () => {
    const { workId } = await begin(told, async ({ log }) => {
      log.warn({ n: 1 }, 'something')
      return { sent: 1 }
    })
    await finished(workId, told)
    return getJobRun(place.client.reader, workId)
  })

  recorded('success: nothing returned, and what details can hold', async () => ({
    nothing: await became(plain, async () => undefined),
    nested: await became(plain, async () => ({ list: [1, 'two', null], of: { a: true } })),
    text: await became(plain, async () => 'text' as never),
    bigInt: await became(plain, async () => ({ n: 5n }) as never),
    date: await became(plain, async () => ({ at: START }) as never),
    large: await became(plain, async () => ({ text: 'x'.repeat(100_000) })),
  }))

  recorded('failure: retried, then a dead letter', () =>
    became(retried, async () => {
      throw new JobError('smtp_unavailable', 'The server is away', { details: { server: 'a' } })
    }),
  )

  recorded('failure: retried, then a success', () =>
    became(retried, async ({ run: { attempt } }) => {
      if (attempt === 1) throw new Error('the first time')
      return { attempt }
    }),
  )

  recorded('failure: not retryable', () =>
    became(retried, async () => {
      throw new JobError('address_invalid', 'No such address', { retryable: false })
    }),
  )

  recorded('failure: by what handlers throw', async () => ({
    error: await became(plain, () => Promise.reject(new RangeError('out of it'))),
    text: await became(plain, () => Promise.reject(aText)),
    nothing: await became(plain, () => Promise.reject(nothing)),
    withCode: await became(plain, () =>
      Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })),
    ),
    ownCode: await became(plain, () => Promise.reject(new JobError('worker_lost', 'Not really'))),
    database: await became(plain, ({ batch }) => batch(async (tx) => void (await tx.query('x')))),
  }))

  recorded('rate limited: costs no attempt', () =>
    became(retried, async ({ run: { attempt, retriesLeft } }) => {
      if (attempt === 1) throw new RateLimited({ retryAfter: 1_000, scope: 'job' })
      return { retriesLeft }
    }),
  )

  recorded('timeout: aborts the signal', () =>
    became(brief, async ({ signal }) => {
      await once(signal, 'abort')
      throw signal.reason
    }),
  )

  recorded('cancelled: while it runs', async () => {
    const { does, begun } = held()
    const { workId } = await begin(plain, does)
    const id = await begun
    const asked = await place.client.cancelRun(id, by)
    const result = await finished(workId)
    const cancelled = await getJobRun(place.client.reader, id)
    return {
      asked,
      result,
      runs: await runsOf(workId),
      by: [cancelled?.cancelRequestedBy, typeof cancelled?.cancelRequestedAt],
      again: await place.client.cancelRun(id, by),
      explained: await place.client.explain(workId),
    }
  })

  recorded('guard: blocks, is approved, and then allows as many', async () => {
    const does: Act = async ({ guard, batch }) => {
      await guard({ due: async () => 20, total: async () => 100 })
      await batch(async () => ({ removed: 20 }))
    }
    const { workId } = await begin(guarded, does)
    const blocked = await finished(workId, guarded)
    const approved = await place.client.approveRun(workId, by)
    const approvedWork = 'workId' in approved ? approved.workId : ''
    return {
      blocked,
      approved,
      result: await finished(approvedWork, guarded),
      runs: [...(await runsOf(workId)), ...(await runsOf(approvedWork))],
    }
  })

  recorded('guard: is not asked', () => became(guarded, async () => ({ removed: 1 })))

  recorded('guard: above the share', () =>
    became(guarded, async ({ guard }) => guard({ due: async () => 4, total: async () => 5 })),
  )

  recorded('dry run: all batches are rolled back', async () => {
    const act = randomUUID()
    acts.set(act, ({ batch, run: { dryRun } }) =>
      batch(async (tx) => {
        await addEffect(tx, act)
        return { added: 1, dry: Number(dryRun) }
      }),
    )
    const request = { ...by, payload: { act } }
    const workId = await place.client.requestRun(plain, { ...request, dryRun: true })
    const result = await finished(workId)
    const after = await effects(act)
    const real = await place.client.requestRun(plain, request)
    await finished(real)
    return { result, after, runs: await runsOf(workId), afterReal: await effects(act) }
  })

  recorded('batches: counts add up, and a failed one is rolled back alone', async () => {
    const { act, workId } = await begin(plain, async ({ batch, payload }) => {
      for (let n = 1; n <= 3; n++) {
        await batch(async (tx) => {
          await addEffect(tx, payload.act)
          if (n === 3) throw new JobError('third', 'The third fails')
          return { added: n }
        })
      }
    })
    const result = await finished(workId)
    const failed = await getJobRun(place.client.reader, workId)
    const { details, batchMarks: marks } = failed ?? {}
    return { result, effects: await effects(act), details, marks }
  })

  recorded('batches: counts that are none', () =>
    became(plain, ({ batch }) => batch(async () => ({ added: 'many' }) as never)),
  )

  recorded('enqueue in a batch: work names its parent, and is gone with the batch', async () => {
    const children: string[] = []
    const { workId } = await begin(plain, async ({ batch, enqueue }) => {
      for (const fails of [false, true]) {
        await batch(async (tx) => {
          children.push((await enqueue(tx, told, { act: 'child' })).workId)
          if (fails) throw new JobError('second', 'The second fails')
        })
      }
    })
    await finished(workId)
    const results = await Promise.all(children.map((child) => finished(child, told)))
    const child = await getJobRun(place.client.reader, children[0] ?? '')
    return { parent: workId, children, results, parentId: child?.parentId, shown: child?.shown }
  })

  recorded('progress: is read while it runs, and afterwards', async () => {
    const { does, begun, release } = held()
    const { workId } = await begin(plain, async (context) => {
      context.progress(2, 5)
      await does(context)
    })
    const id = await begun
    const during = await waitFor(
      async () => (await getJobRun(place.client.reader, id))?.progress ?? null,
    )
    release()
    await finished(workId)
    return { during, after: (await getJobRun(place.client.reader, id))?.progress }
  })

  recorded('context: what a handler knows of its run', () =>
    became(retried, async (context) => ({
      keys: Object.keys(context).toSorted(),
      run: context.run as never,
      isNow: Math.abs(context.now().getTime() - Date.now()) < 60_000,
      isAborted: context.signal.aborted,
    })),
  )

  recorded('result: by its schema', async () => ({
    fits: await became(answering, async () => ({ n: 1 })),
    invalid: await became(answering, async () => ({ n: 'one' })),
    missing: await became(answering, async () => undefined),
    large: await became(answering, async () => ({ n: 'x'.repeat(70_000) })),
    unstorable: await became(answering, async () => ({ n: 5n }) as never),
  }))

  recorded('payload: is asked of the schema once more at each attempt', async () => {
    const lax = { ...answering, payload: told.payload } as unknown as Job
    const { workId } = await put(lax, { act: 'x', key: 'more' })
    return { result: await finished(workId, answering), runs: await runsOf(workId) }
  })

  recorded('runs under way: listed with their worker', async () => {
    const { does, begun, release } = held()
    const { workId } = await begin(plain, does)
    const id = await begun
    const [underWay] = await waitFor(async () => {
      const { runs } = await listJobRuns(place.client.reader, {
        ...{ limit: 10, status: 'running', workId },
      })
      return runs.length > 0 && runs
    })
    const explained = await place.client.explain(workId)
    const pending = await place.client.result(plain, workId, { timeoutMs: 0 })
    release()
    await finished(workId)
    return { id, run: underWay, explained, pending }
  })

  recorded('limits: one at a time over all workers', async () => {
    const first = held()
    const one = await begin(single, first.does)
    await first.begun
    const two = await begin(single, async () => undefined)
    const waits = await waitFor(async () => {
      const found = await reasons(two.workId)
      return found?.[0]?.[0] === 'limitFull' && found
    })
    const limit = (await place.client.limits.list()).find(({ name }) => name === 'single')
    first.release()
    return {
      waits,
      limit,
      results: [await finished(one.workId, single), await finished(two.workId, single)],
    }
  })

  recorded('limits: shared by two jobs', async () => {
    const first = held()
    const one = await begin(oneOfService, first.does)
    await first.begun
    const two = await begin(otherOfService, async () => undefined)
    const waits = await reasons(two.workId)
    first.release()
    await finished(one.workId, oneOfService)
    return { waits, result: await finished(two.workId, otherOfService) }
  })

  recorded('limits: each key by itself', async () => {
    const first = held()
    const one = await begin(fair, first.does, { key: 'a' })
    await first.begun
    const two = await begin(fair, async () => undefined, { key: 'a' })
    const other = await became(fair, async () => undefined, { key: 'b' })
    const waits = await reasons(two.workId)
    const found = await place.client.keys.get(fair, 'a')
    first.release()
    return {
      waits,
      other: other.result,
      found: { ...found, startedLastHour: null, ofAllStarted: null },
      results: [await finished(one.workId, fair), await finished(two.workId, fair)],
    }
  })

  recorded('limits: one after the other of a fifo key', async () => {
    const order: string[] = []
    const first = held()
    const works = [
      await begin(
        fifo,
        async (context) => {
          await first.does(context)
          order.push('first')
        },
        { key: 'a' },
      ),
    ]
    await first.begun
    for (const nth of ['second', 'third']) {
      works.push(await begin(fifo, async () => void order.push(nth), { key: 'a' }))
    }
    const waits = await reasons(works[1]?.workId ?? '')
    first.release()
    for (const { workId } of works) await finished(workId, fifo)
    return { waits, order }
  })

  recorded('limits: as many as a worker takes', async () => {
    const first = held()
    const one = await begin(narrow, first.does)
    await first.begun
    const two = await begin(narrow, async () => undefined)
    const waits = await reasons(two.workId)
    first.release()
    await finished(one.workId, narrow)
    return { waits, result: await finished(two.workId, narrow) }
  })

  recorded('limits: a rate', async () => {
    const first = await became(slow, async () => undefined)
    const { workId } = await begin(slow, async () => undefined)
    return { first: first.result, waits: await reasons(workId) }
  })

  recorded('a paused queue: its work waits until it is resumed', async () => {
    const pause = await place.client.pauseQueue('paused', by)
    const { workId } = await begin(paused, async () => undefined)
    const waits = await reasons(workId)
    const measured = await getQueueStats(place.client.reader, ['paused'])
    const stats = measured.filter(({ name }) => name === 'paused')
    const resume = await place.client.resumeQueue('paused', by)
    return { pause, waits, stats, resume, result: await finished(workId, paused) }
  })

  recorded('dead letters: redriven to a success', async () => {
    let isAway = true
    const { workId } = await begin(plain, async () => {
      if (isAway) throw new JobError('away', 'It is away')
    })
    const first = await finished(workId)
    isAway = false
    const redriven = await place.client.redriveDeadLetters({ ids: [workId] }, by)
    return { first, redriven, second: await finished(workId), runs: await runsOf(workId) }
  })

  recorded('workers: listed with version and lanes', async () => {
    const [worker] = (await listWorkers(place.client.reader)).filter((one) => one.version === 'v1')
    return worker
  })

  recorded('worker: is ready, and has connections', () => ({
    isReady: place.worker.isReady(),
    connections: Object.keys(place.worker.connections()).toSorted(),
  }))

  recorded('observers: see starts and ends', async () => {
    await became(observed, async () => ({ n: 1 }))
    return waitFor(() => {
      const found = seen.filter((one) => Object.values(one).includes('observed'))
      return found.length === 2 && found
    })
  })

  recorded('schedules: the worker registers those of its jobs', async () =>
    Object.fromEntries(
      [...(await listSchedules(place.client.reader, ['exclusive', 'plain']))].map(
        ([name, { cron, timeZone, pausedAt }]) => [name, { cron, timeZone, pausedAt }],
      ),
    ),
  )

  recorded('watchChanges: names the jobs whose runs change', async () => {
    const names = new Set<string>()
    const watch = place.client.watchChanges({
      onChange: (change) => change.names.forEach((name) => names.add(name)),
      onGap: () => undefined,
    })
    await waitFor(async () => {
      await became(told, async () => undefined)
      return names.has('told')
    })
    await watch.close()
    return names.has('told')
  })

  recorded('metrics: names, types and labels', async () => {
    const registry = new prometheus.Registry()
    const target = { prometheus, registry }
    const { reader } = place.client
    createRunMetrics(target, ['plain'])
    watchQueue({ ...target, measure: () => getQueueStats(reader, ['plain']) })
    watchJobHealth({ ...target, read: () => listProblems(reader, [plain], new Date()) })
    watchOldestSnapshot({ ...target, read: () => getOldestSnapshot(reader) })
    watchWorker(target, place.worker)
    countPings(target)
    const metrics = registry.getMetricsAsArray() as unknown as Record<string, unknown>[]
    return metrics.map(({ name, constructor, labelNames }) => ({
      ...{ name, labelNames, type: constructor.name },
    }))
  })

  recorded('createWorker: wrong options', async () => {
    const handlersModule = 'file:///none.js'
    const options = {
      ...{ databaseUrl: place.url, client: place.pool, jobs, handlers, handlersModule },
      log: silent,
    }
    const make = (more: object) =>
      refusal(
        () => void createWorker({ ...options, ...more } as unknown as WorkerOptions<[], pg.Pool>),
      )
    return {
      module: await make({ handlersModule: undefined }),
      concurrency: await make({ concurrency: 0 }),
      databaseUrl: await make({ databaseUrl: '' }),
      only: await make({ only: ['nothing'] }),
      except: await make({ except: ['nothing'] }),
      retention: await make({ retention: { runDays: 0 } }),
      handlers: await make({ handlers: { pruneJobRuns: perform } }),
      schema: await make({ schema: '' }),
      uncaught: await make({ uncaught: 'ignore' }),
      drainTimeoutMs: await make({ drainTimeoutMs: -1 }),
      unknown: await make({ drainTimeout: 1_000 }),
      unknownOfRetention: await make({ retention: { runDay: 1 } }),
      handlerMissing: await make({ handlers: { ...handlers, plain: undefined } }),
      handlerOfNoJob: await make({ handlers: { ...handlers, nothing: perform } }),
      jobTwice: await make({ jobs: [...jobs, plain] }),
    }
  })
})

function runHere(more: Partial<RunOnceOptions<Job, pg.Pool>>) {
  return runOnce<Job, pg.Pool>({
    databaseUrl: place.url,
    schema: 'public',
    client: place.pool,
    job: plain,
    handler: perform,
    log: silent,
    ...more,
  })
}

// Each of the groups is over before the next one begins.
// These open connections of their own, which must not wait for long: one after the other.
describe('by hand', () => {
  recorded('exclusive: a requested run waits for the one under way', async () => {
    const first = held()
    const one = await begin(exclusive, first.does)
    const id = await first.begun
    const act = randomUUID()
    acts.set(act, async () => undefined)
    const requested = await place.client.requestRun(exclusive, { ...by, payload: { act } })
    const waits = await reasons(requested)
    const byHand = await runHere({ job: exclusive, payload: { act } })
    first.release()
    await finished(one.workId, exclusive)
    return { id, waits, byHand, result: await finished(requested, exclusive) }
  })

  recorded('runOnce: success, failure, dry run', async () => {
    const act = randomUUID()
    acts.set(act, ({ batch, run: { trigger } }) =>
      batch(async (tx) => {
        await addEffect(tx, act)
        return { added: 1, byCli: Number(trigger === 'cli') }
      }),
    )
    const failing = randomUUID()
    acts.set(failing, () => Promise.reject(new JobError('away', 'It is away')))
    return {
      dry: await runHere({ payload: { act }, dryRun: true, actor: 'ada' }),
      afterDry: await effects(act),
      real: await runHere({ payload: { act } }),
      afterReal: await effects(act),
      failed: await runHere({ payload: { act: failing } }),
    }
  })

  recorded('runOnce: the next attempt at a dead letter', async () => {
    let isAway = true
    const { workId } = await begin(plain, async () => {
      if (isAway) throw new JobError('away', 'It is away')
      return { done: 1 }
    })
    await finished(workId)
    isAway = false
    return {
      first: await runHere({ deadLetter: workId }),
      second: await runHere({ deadLetter: workId }),
      result: await finished(workId),
      runs: await runsOf(workId),
    }
  })

  recorded('runOnce: a limit over all workers is full', async () => {
    const first = held()
    const { workId } = await begin(oneOfService, first.does)
    await first.begun
    const full = await runHere({ job: otherOfService, payload: { act: 'x' } })
    first.release()
    await finished(workId, oneOfService)
    return full
  })

  recorded('runOnce: wrong arguments', async () => ({
    payload: await refusal(() => runHere({ payload: { act: 5 } })),
    deadLetter: await refusal(() => runHere({ deadLetter: 'x' })),
    dryLetter: await refusal(() => runHere({ deadLetter: randomUUID(), dryRun: true })),
    databaseUrl: await refusal(() => runHere({ databaseUrl: '' })),
    handler: await refusal(() => runHere({ handler: undefined })),
    job: await refusal(() => runHere({ job: {} as never })),
    unknown: await refusal(() => runHere({ payloads: {} } as never)),
  }))

  recorded('pings: start, success and failure', async () => {
    const pings: string[] = []
    const monitor = createServer((request, response) => {
      pings.push(`${request.method} ${new URL(request.url ?? '', 'http://x').pathname}`)
      response.end()
    }).listen(0, '127.0.0.1')
    await once(monitor, 'listening')
    const { port } = monitor.address() as AddressInfo
    const outcomes: unknown[] = []
    const pinger = createPinger({
      urls: new Map([['plain', new URL(`http://127.0.0.1:${port}/check`)]]),
      onOutcome: (...outcomeOf) => void outcomes.push(outcomeOf),
      log: silent,
    })
    const failing = randomUUID()
    acts.set(failing, () => Promise.reject(new JobError('away', 'It is away')))
    for (const act of ['fine', failing])
      await runHere({ payload: { act }, observers: [pinger.observer] })
    await pinger.close()
    monitor.close()
    return { pings, outcomes }
  })

  recorded('tables that are missing: TablesError', async () => {
    const { url, drop } = await createTestDatabase({ migrated: false })
    const options = { databaseUrl: url, client: place.pool, log: silent }
    const worker = createWorker({
      ...options,
      jobs: [plain],
      handlers: { plain: perform },
    })
    const missing = {
      worker: await refusal(worker.start()),
      run: await refusal(run({ ...options, jobs: [plain], handlers: { plain: perform } })),
      runOnce: await refusal(runHere({ databaseUrl: url, payload: { act: 'x' } })),
    }
    await drop()
    return missing
  })

  recorded('retention: what is past it is removed', async () => {
    const own = await openPlace()
    const runHereOnce = (more: object = {}) =>
      runOnce({
        databaseUrl: own.url,
        schema: 'public',
        client: own.pool,
        job: plain,
        handler: perform,
        log: silent,
        ...more,
      })
    acts.set('bad', () => Promise.reject(new JobError('away', 'It is away')))
    await runHereOnce({ payload: { act: 'none' } })
    await runHereOnce({ payload: { act: 'bad' } })
    const prune = (days: number) =>
      runHereOnce({
        job: pruneJobRuns,
        handler: undefined,
        retention: { runDays: 1, failedDays: 3, actionDays: 5 },
        now: () => new Date(Date.now() + days * 86_400_000),
      })
    const count = async () =>
      (await listJobRuns(own.client.reader, { limit: 100 })).runs
        .filter(({ name }) => name === 'plain')
        .map(({ outcome }) => outcome)
    const steps = []
    for (const days of [0, 2, 4]) {
      const pruned = await prune(days)
      steps.push({ days, details: 'run' in pruned ? pruned.run.details : {}, left: await count() })
    }
    await own.close()
    return steps
  })
})

describe('isolated runs', () => {
  describe.concurrent('', () => {
    recorded('isolated: success and failure', async () => {
      const of = async (act: 'work' | 'fail') => {
        const { workId } = await put(isolated, { act })
        return { result: await finished(workId, isolated), runs: await runsOf(workId) }
      }
      return { work: await of('work'), fail: await of('fail') }
    })

    for (const act of ['exit', 'loop', 'fillHeap'] as const) {
      recorded(`isolated: ${act} ends only its run`, async () => {
        const job = act === 'loop' ? isolatedBrief : isolated
        const { workId } = await put(job, { act })
        const result = await finished(workId, job)
        return { result, runs: await runsOf(workId) }
      })
    }
  })
})

describe('workers of their own', () => {
  describe.concurrent('', () => {
    recorded('stop: gives back what does not end in time', async () => {
      const own = await openPlace()
      const options = {
        databaseUrl: own.url,
        schema: 'public',
        client: own.pool,
        jobs: [plain] as const,
        log: silent,
      }
      const { does, begun } = held()
      acts.set('back', does)
      const worker = createWorker({ ...options, handlers: { plain: perform } })
      await worker.start()
      const { workId } = await put(plain, { act: 'back' }, {}, own)
      const id = await begun
      const wrong = await refusal(worker.stop({ drainTimeoutMs: -1 }))
      const before = worker.isReady()
      await worker.stop({ drainTimeoutMs: 0 })
      const runs = await runsOf(workId, own.client)
      const { work } = await listWaitingWork(own.client.reader, { limit: 10 })
      const health = (await listProblems(own.client.reader, [plain], new Date())).problems
      const workers = await listWorkers(own.client.reader)
      await own.close()
      return {
        ...{ id, wrong, before, after: worker.isReady(), runs, work, workers },
        health: health.map(({ kind }) => kind),
        restarted: await refusal(worker.start()),
      }
    })

    recorded('stop: waits for what ends in time', async () => {
      const own = await openPlace()
      const { does, begun, release } = held()
      acts.set('wait', does)
      const options = {
        databaseUrl: own.url,
        schema: 'public',
        client: own.pool,
        jobs: [plain] as const,
        log: silent,
      }
      const worker = createWorker({ ...options, handlers: { plain: perform } })
      await worker.start()
      const { workId } = await put(plain, { act: 'wait' }, {}, own)
      await begun
      const stopped = worker.stop()
      release()
      await stopped
      const runs = await runsOf(workId, own.client)
      await own.close()
      return runs
    })

    recorded('only and except: which work a worker takes', async () => {
      const own = await openPlace()
      const two = [plain, told] as const
      const options = {
        databaseUrl: own.url,
        schema: 'public',
        client: own.pool,
        jobs: two,
        log: silent,
      }
      const both = { plain: perform, told: perform }
      const workers = [
        createWorker({ ...options, handlers: both, only: ['plain'], version: 'only' }),
        createWorker({
          ...options,
          handlers: both,
          except: ['plain', 'pruneJobRuns'],
          version: 'except',
        }),
      ]
      for (const worker of workers) await worker.start()
      const versions = []
      for (const job of two) {
        const { workId } = await put(job, { act: 'nothing' }, {}, own)
        await own.client.result(job, workId, { timeoutMs: PATIENCE_MS })
        versions.push((await getJobRun(own.client.reader, workId))?.version)
      }
      const lanes = (await listWorkers(own.client.reader)).map((one) => [one.version, one.lanes])
      for (const worker of workers) await worker.stop()
      await own.close()
      return { versions, lanes: Object.fromEntries(lanes) }
    })

    recorded('a client of Prisma: handlers get its transactions', async () => {
      const own = await openPlace()
      const prisma = createDatabaseClient({
        ...{ url: own.url, applicationName: 'black box', onPoolError: () => undefined },
      })
      const worker = createWorker({
        ...{
          databaseUrl: own.url,
          schema: 'public',
          client: prisma,
          jobs: [plain] as const,
          log: silent,
        },
        handlers: {
          plain: ({ batch }) =>
            batch(async (tx) => ({
              added: await tx.$executeRaw`insert into "Effect" values ('p')`,
            })),
        },
      })
      await worker.start()
      const { workId } = await put(plain, { act: 'p' }, {}, own)
      await own.client.result(plain, workId, { timeoutMs: PATIENCE_MS })
      const runs = await runsOf(workId, own.client)
      const count = await effects('p', own.pool)
      await worker.stop()
      await prisma.$disconnect()
      await own.close()
      return { runs, count }
    })

    recorded('problems: no worker lives, and work that nobody takes', async () => {
      const own = await openPlace()
      await put(plain, { act: 'x' }, {}, own)
      const { problems } = await listProblems(own.client.reader, [exclusive], new Date())
      await own.close()
      return problems
    })

    recorded('alerts: begin and end of a failing job', async () => {
      const own = await openPlace()
      const options = {
        databaseUrl: own.url,
        schema: 'public',
        client: own.pool,
        jobs: [plain] as const,
        log: silent,
      }
      let isAway = true
      acts.set('alert', async () => {
        if (isAway) throw new JobError('away', 'It is away')
      })
      const worker = createWorker({ ...options, handlers: { plain: perform } })
      await worker.start()
      const notices: AlertNotice[] = []
      const watcher = createAlertWatcher({
        databaseUrl: own.url,
        schema: 'public',
        jobs: [plain],
        log: silent,
        intervalMs: 100,
        limits: { failureOfOneMs: 0 },
        channels: [{ name: 'case', send: async (notice) => void notices.push(notice) }],
      })
      watcher.start()
      const { workId } = await put(plain, { act: 'alert' }, {}, own)
      await waitFor(() => notices.filter(({ event }) => event === 'began').length === 1)
      isAway = false
      await own.client.redriveDeadLetters({ ids: [workId] }, by)
      for (let nth = 0; nth < 2; nth++) await put(plain, { act: 'alert' }, {}, own)
      await waitFor(() => notices.filter(({ event }) => event === 'ended').length === 1)
      await watcher.stop()
      await worker.stop()
      await own.close()
      return notices
        .map(({ facts: _facts, ...notice }) => notice)
        .toSorted((one, other) => (one.event + one.kind < other.event + other.kind ? -1 : 1))
    })

    recorded('alerts: wrong options', async () => {
      const watch = (more: object) =>
        refusal(
          () =>
            void createAlertWatcher({ databaseUrl: place.url, jobs: [], channels: [], ...more }),
        )
      const channel = { name: 'case', send: async () => undefined }
      return {
        twice: await watch({ channels: [channel, channel] }),
        name: await watch({ channels: [{ ...channel, name: 'a b' }] }),
        intervalMs: await watch({ intervalMs: 0 }),
        limits: await watch({ limits: { failureRate: 2 } }),
      }
    })
  })
})

// Schedules of code, by a clock that is advanced

const everyHour = { cron: '0 * * * *' }
const policies = {
  missedOnce: probe('missedOnce', { schedule: everyHour }),
  missedAll: probe('missedAll', { schedule: { ...everyHour, missed: 'all', overlap: 'queue' } }),
  missedSkip: probe('missedSkip', { schedule: { ...everyHour, missed: 'skip' } }),
  catchesUp: probe('catchesUp', {
    schedule: { ...everyHour, missed: 'all', catchUpMs: 7_200_000, overlap: 'allow' },
  }),
  zoned: probe('zoned', {
    schedule: {
      cron: '30 2 * * *',
      timeZone: 'Europe/Berlin',
      missed: 'all',
      overlap: 'allow',
      catchUpMs: 10 * 86_400_000,
    },
  }),
}
describe('schedules by a clock that is advanced', () => {
  const clock = openForTests(async () => {
    const { url, drop } = await createTestDatabase({ migrated: false })
    const pool = new pg.Pool({ connectionString: url })
    const scheduled = Object.values(policies).map((job) => ({
      ...job,
      payload: z.strictObject({}) as unknown as typeof job.payload,
    }))
    const test = await openTestJobs({
      databaseUrl: url,
      client: pool,
      jobs: scheduled,
      handlers: Object.fromEntries(
        scheduled.map(({ name }) => [name, async () => undefined]),
      ) as never,
      now: new Date('2090-03-25T20:30:00Z'),
    })
    return {
      test,
      async close() {
        await test.close()
        await pool.end()
        await drop()
      },
    }
  })
  const advance = async (hours: number) => {
    await clock.test.advance({ hours })
    const ended = await clock.test.drain()
    return Object.keys(policies).map((name) => [
      name,
      ended.filter((one) => one.name === name).map(({ scheduledFor }) => scheduledFor),
    ])
  }

  recorded('missed and catchUpMs: after an hour, and after five without a worker', async () => ({
    first: await advance(1),
    second: await advance(5),
  }))

  recorded('missed: over the night in which clocks are set forward', () => advance(48))

  recorded('overlap: while earlier work waits, by skip, queue and allow', async () => {
    await clock.test.reset()
    const { test } = clock
    for (let hour = 0; hour < 3; hour++) await test.advance({ hours: 1 })
    const waits: Record<string, number> = {}
    for (const job of Object.values(policies)) waits[job.name] = (await test.enqueued(job)).length
    return waits
  })
})

afterAll(() => acts.clear())
