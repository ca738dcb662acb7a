// Not quick: waits for time-outs.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { PrismaClient } from '@roundsman/db'
import { HOLD_RUNS_SQL, waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import {
  defineJob,
  JobError,
  type RunContext,
  type TraceContext,
  type TransactionOf,
} from '../../src/index.ts'
import { runOnce, type ObservedRun, type RunEnding, type WorkerObserver } from '../../src/worker.ts'
import { combineObservers } from '../../src/run/combineObservers.ts'
import { OBSERVED_RUN } from '../observedRun.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { noClock } from '../fixtures/noClock.ts'

const echo = defineJob({
  name: 'echo',
  payload: z.object({ text: z.string() }),
  retry: { limit: 0 },
})
const follow = defineJob({ name: 'follow', payload: z.object({}), dryRun: true })
const tick = defineJob({ name: 'tick', schedule: { cron: '0 * * * *' } })
const jobs = [echo, follow, tick] as const

type Transaction = TransactionOf<PrismaClient>

const TRACE: TraceContext = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
const place = new AsyncLocalStorage<string>()

const runtime = useTestRuntime({ cleared: ['JobTick', 'JobSchedule'] })
let client: JobsClient

beforeAll(async () => {
  client = createJobsClient({
    schema: 'public',
    databaseUrl: runtime.url,
    log: runtime.log,
    traceEnqueue: (_, put) => put(TRACE),
  })
  await client.start()
})

afterAll(() => client.stop())

/** An observer that notes all that it is told. */
function note() {
  const seen: unknown[] = []
  const started: ObservedRun[] = []
  const ended: RunEnding[] = []
  const observer: WorkerObserver = {
    runStarted(run) {
      started.push(run)
      return {
        logFields: { traceId: 'a trace' },
        within: (work) => place.run(run.name, work),
        ended: (end) => void ended.push(end),
      }
    },
    runRescued: ({ id, name, attempt, dryRun }) =>
      void seen.push(['rescued', id, name, attempt, dryRun]),
    ticksDecided: (name, ticks) =>
      void seen.push(['ticks', name, ticks.map(({ outcome, count }) => [outcome, count])]),
    workClaimed: (name, count) => void seen.push(['claimed', name, count]),
    runsSettled: (count) => void seen.push(['settled', count]),
  }
  return { observer, seen, started, ended }
}

async function startWorker(
  observers: WorkerObserver[],
  options: Partial<{ echo: () => Promise<void> }> = {},
) {
  return await startTestWorker(runtime, {
    jobs,
    handlers: {
      echo: options.echo ?? (async () => undefined),
      follow: async () => undefined,
      tick: async () => undefined,
    },
    observers,
    traceEnqueue: (_, put) => put({ traceparent: `in ${place.getStore()}` }),
    clock: noClock,
  })
}

const send = (text = 'secret') =>
  runtime.prisma.$transaction((tx) => client.enqueue(tx, echo, { text }))

describe('an observer', () => {
  it('is told of a run from where it was enqueued to its end, and its fields are in each line', async () => {
    const { observer, seen, started, ended } = note()
    let where: string | undefined
    await startWorker([observer], {
      echo: async () => {
        await runtime.rows('select')
        where = place.getStore()
      },
    })
    const { workId } = await send()
    await waitFor(() => ended.length === 1)

    expect(started).toMatchObject([
      { name: 'echo', attempt: 1, trigger: 'queue', dryRun: false, workId, trace: TRACE },
    ])
    expect(ended).toEqual([{ kind: 'success', durationMs: expect.any(Number), details: null }])
    expect(seen).toEqual([
      ['claimed', 'echo', 1],
      ['settled', 1],
    ])
    expect(where).toBe('echo')
    const lines = runtime.lines.filter(({ runId }) => runId === started[0]?.id)
    expect(lines.map(({ msg, traceId }) => [msg, traceId])).toEqual([
      ['job run started', 'a trace'],
      ['job run finished', 'a trace'],
    ])
    expect(JSON.stringify([started, ended, seen])).not.toContain('secret')
  })

  it('is told how a run failed', async () => {
    const { observer, ended } = note()
    await startWorker([observer], {
      echo: () => Promise.reject(new JobError('too_warm', 'It is too warm', { details: { n: 1 } })),
    })
    await send()
    await waitFor(() => ended.length === 1)
    expect(ended).toMatchObject([{ kind: 'failed', code: 'too_warm', details: { n: 1 } }])
  })

  it('is told that a run was lost, by the worker that lost it', async () => {
    const { observer, started, ended } = note()
    await startWorker([observer], {
      echo: async () => {
        await runtime.rows(
          `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "errorCode", "endedAt")
           select unnest("runIds"), "name", 'queue', "workerId", 'failed', 'worker_lost', now() from "JobClaim"`,
        )
      },
    })
    await send()
    await waitFor(() => ended.length === 1)
    expect(started).toHaveLength(1)
    expect(ended).toMatchObject([{ kind: 'lost' }])
  })

  it('is told of runs that were rescued', async () => {
    const { observer, seen } = note()
    const id = '01a20e26-367c-766a-a085-72e882269712'
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "attempt", "workerId", "dryRun")
       values ($1, 'echo', 'cli', 3, 'dead', true)`,
      [id],
    )
    await runtime.rows(HOLD_RUNS_SQL)
    await startWorker([observer], {})
    await waitFor(() => seen.length > 0)
    expect(seen).toEqual([['rescued', id, 'echo', 3, true]])
  })

  it('is told once of all ticks that were decided, with what each row stands for', async () => {
    const { observer, seen } = note()
    await startWorker([observer])
    await runtime.rows(
      `update "JobSchedule" set "cursor" = at - interval '1 hour', "nextAt" = at, "dueAt" = at
       from (select date_trunc('hour', now()) - interval '2 hours' as at) due where "name" = 'tick'`,
    )
    await waitFor(() => seen.some((entry) => Array.isArray(entry) && entry[0] === 'ticks'))
    expect(seen[0]).toEqual([
      'ticks',
      'tick',
      [
        ['coalesced', 1],
        ['coalesced', 1],
        ['enqueued', 1],
      ],
    ])
  })

  it('that fails at everything is logged, and harms neither the work nor the others', async () => {
    const fail = () => {
      throw new Error('an observer’s own')
    }
    const { observer, started, ended } = note()
    const observers: WorkerObserver[] = [
      { runStarted: fail, workClaimed: fail, runsSettled: fail },
      { runStarted: () => ({ within: () => Promise.reject(new Error('never')), ended: fail }) },
      observer,
    ]
    let calls = 0
    await startWorker(observers, { echo: async () => void calls++ })
    await send()
    await waitFor(() => ended.length === 1)
    expect([calls, started.length, ended[0]?.kind]).toEqual([1, 1, 'success'])
    const lines = runtime.lines.filter(({ msg }) => msg === 'an observer failed')
    expect(lines).toHaveLength(5)
  })

  const never = () => new Promise<never>(() => undefined)
  const broken = () => Promise.reject(new Error('an observer’s own'))
  const fields = {
    get logFields(): never {
      throw new Error('an observer’s own')
    },
  }

  it.each<{ it: string; observer: WorkerObserver }>([
    { it: 'has fields that throw', observer: { runStarted: () => fields } },
    {
      it: 'is asynchronous, and rejects',
      observer: {
        runStarted: broken as never,
        // oxlint-disable-next-line typescript/no-misused-promises -- that it is asynchronous is the point
        workClaimed: broken,
        // oxlint-disable-next-line typescript/no-misused-promises -- the same
        runsSettled: broken,
      },
    },
    // oxlint-disable-next-line typescript/no-misused-promises -- the same
    { it: 'rejects at the end', observer: { runStarted: () => ({ ended: broken }) } },
    { it: 'never calls the handler', observer: { runStarted: () => ({ within: never }) } },
    { it: 'never calls a step', observer: { runStarted: () => ({ withinStep: never }) } },
    {
      it: 'comes to no end',
      observer: { runStarted: () => ({ within: (work) => work().then(never) }) },
    },
    {
      it: 'calls the handler twice',
      observer: { runStarted: () => ({ within: async (work) => (await work(), await work()) }) },
    },
    {
      it: 'calls the handler late',
      observer: {
        runStarted: () => ({ within: async (work) => (await Promise.resolve(), await work()) }),
      },
    },
    {
      it: 'throws at once',
      observer: {
        runStarted: () => ({
          within: () => {
            throw new Error('an observer’s own')
          },
        }),
      },
    },
    {
      it: 'returns something else',
      observer: { runStarted: () => ({ within: (async () => 5) as never }) },
    },
    {
      it: 'changes the run',
      observer: {
        runStarted: (run) => {
          run.startedAt.setTime(Number.NaN)
          Object.assign(run, { id: 'other' })
        },
      },
    },
  ])('that $it costs no run its end, and the process nothing', async ({ observer }) => {
    const noted = note()
    let calls = 0
    const strays: unknown[] = []
    const onStray = (error: unknown) => strays.push(error)
    process.on('unhandledRejection', onStray)
    onTestFinished(() => void process.off('unhandledRejection', onStray))
    const observers = combineObservers([observer, noted.observer], runtime.log)!
    const run = { ...OBSERVED_RUN, startedAt: new Date(5) }
    observers.workClaimed('echo', 1)
    const { within, withinStep, ended } = observers.runStarted(run)
    await within(async () => void calls++)
    const refused = new Error('no')
    const step = withinStep({ name: 'weigh', item: '' }, () => Promise.reject(refused))
    await expect(step).rejects.toBe(refused)
    ended({ kind: 'success', durationMs: 5, details: null })
    observers.runsSettled(1)
    await new Promise(setImmediate)

    expect([calls, run]).toEqual([1, { ...OBSERVED_RUN, startedAt: new Date(5) }])
    expect([noted.started, noted.ended]).toEqual([
      [run],
      [{ kind: 'success', durationMs: 5, details: null }],
    ])
    expect(strays).toEqual([])
  })

  it('has fields that are stored as texts, and none of them takes the place of the engine’s', async () => {
    const logFields = { runId: 'other', a: 1n, b: '\0' } as never
    await startWorker([{ runStarted: () => ({ logFields }) }], {})
    await send()
    await waitFor(() => runtime.lines.some(({ msg }) => msg === 'job run finished'))
    const line = runtime.lines.find(({ msg }) => msg === 'job run finished')
    expect(line).toMatchObject({ a: '1', b: '\ufffd' })
    expect(line?.runId).not.toBe('other')
  })

  it('is told of a run by hand', async () => {
    const { observer, started, ended } = note()
    const { url, prisma, log } = runtime
    const result = await runOnce({
      schema: 'public',
      databaseUrl: url,
      client: prisma,
      job: follow,
      handler: async () => undefined,
      dryRun: true,
      log,
      observers: [observer],
    })
    expect(result.kind).toBe('ended')
    expect(started).toMatchObject([{ name: 'follow', trigger: 'cli', dryRun: true, trace: null }])
    expect(ended).toMatchObject([{ kind: 'success' }])
  })
})

it('what a handler enqueues is traced from within its run', async () => {
  const { observer, started } = note()
  await startTestWorker(runtime, {
    jobs,
    handlers: {
      echo: async ({ batch, enqueue }: RunContext<{ text: string }, Transaction>) => {
        await batch(async (tx) => {
          await enqueue(tx, follow, {})
          return {}
        })
      },
      follow: async () => undefined,
      tick: async () => undefined,
    },
    observers: [observer],
    traceEnqueue: (_, put) => put({ traceparent: `in ${place.getStore()}` }),
    clock: noClock,
  })
  await send()
  await waitFor(() => started.length === 2)
  expect(started[1]).toMatchObject({ name: 'follow', trace: { traceparent: 'in echo' } })
})
