// Not quick: ends runs in hundreds of ways.
import type { PrismaClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import {
  hostileOutcome,
  playOutcome,
  type HostileOutcome,
} from '@roundsman/testing/hostileOutcomes'
import { makeHostile, ODD_NAMES } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, JobError, type Handler, type TransactionOf } from '../../src/index.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../src/worker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

/** Plays the entry of `handlers` that its payload names. */
const act = defineJob({
  name: 'act',
  payload: z.object({ n: z.number() }),
  retry: { limit: 0 },
  timeoutMs: 20_000,
})
const innocent = defineJob({ name: 'innocent', retry: { limit: 0 } })
/** A job whose schema is as foreign as its handler. */
const odd = { ...defineJob({ name: 'odd', retry: { limit: 0 } }) }
const jobs = [act, innocent, odd] as const

type AnyHandler = Handler<{ n: number }, TransactionOf<PrismaClient>>

interface EndedRun {
  id: string
  name: string
  workId: string
  status: string
  errorCode: string | null
  details: { error?: { code: string; message: string }; [key: string]: unknown } | null
  progress: unknown
}

const { runtime, client } = useClientRuntime()
let worker: Worker | undefined
/** Whether the worker has no options of its own, so that many tests share it. */
let isPlain = false
let handlers: unknown[]

afterAll(() => worker?.stop({ drainTimeoutMs: 0 }))

beforeEach(async () => {
  handlers = []
  runtime.lines.length = 0
  await forgetRuns()
})

/** Deletes rows rather than truncating: a worker lives, and the two could deadlock. */
async function forgetRuns(): Promise<void> {
  for (const table of ['JobRun', 'JobClaim', 'JobWork', 'JobDeadLetter', 'JobPayload'])
    await runtime.rows(`delete from "${table}"`)
}

async function startWorker(
  options?: Partial<WorkerOptions<typeof jobs, PrismaClient>>,
): Promise<void> {
  if (isPlain && options === undefined) return
  isPlain = false
  await worker?.stop({ drainTimeoutMs: 0 })
  worker = undefined
  worker = createWorker({
    ...runtime.workerOptions,
    jobs,
    handlers: {
      act: (context: Parameters<AnyHandler>[0]) =>
        (handlers[context.payload.n] as AnyHandler)(context),
      innocent: async () => ({ fine: 1 }),
      odd: async () => undefined,
    },
    concurrency: 100,
    clock: noClock,
    ...options,
  })
  await worker.start()
  isPlain = options === undefined
}

/**
 * Runs each handler once, beside as many innocent ones. Resolves to their runs, in the order of the handlers, once all
 * ended.
 */
async function runAll(these: readonly unknown[]): Promise<EndedRun[]> {
  handlers = [...these]
  const sent = await runtime.prisma.$transaction(async (tx) => {
    const items = these.map((_, n) => ({ payload: { n } }))
    const acts = await client.enqueueMany(tx, act, items)
    await client.enqueueMany(
      tx,
      innocent,
      these.map(() => ({ payload: {} })),
    )
    return acts
  })
  const runs = await ended(2 * these.length)
  const beside = runs.filter(({ name }) => name === 'innocent')
  expect(beside).toHaveLength(these.length)
  expect(beside.filter(({ status }) => status !== 'success')).toEqual([])
  const byWork = new Map(runs.map((run) => [run.workId, run]))
  return sent.map(({ workId }) => byWork.get(workId)!)
}

async function ended(count: number): Promise<EndedRun[]> {
  return await waitFor(
    async () => {
      const [over] = await runtime.rows<{ n: number }>(
        `select count(*)::int n from "JobRun" where "status" <> 'running'`,
      )
      if (over?.n !== count || !(await isNothingLeft())) return null
      return await runtime.rows<EndedRun>(
        `select "id", "name", "workId", "status", "errorCode", "progress",
                case when length("details"::text) < 200000 then "details" end as "details"
         from "JobRun"`,
      )
    },
    { timeoutMs: 100_000, intervalMs: 100, message: 'Every run ends' },
  )
}

async function isNothingLeft(): Promise<boolean> {
  const [row] = await runtime.rows<{ left: number }>(
    `select (select count(*) from "JobClaim")::int + (select count(*) from "JobWork")::int as left`,
  )
  return row?.left === 0
}

const runOf = async (handler: unknown) => (await runAll([handler]))[0]!

describe('a handler that returns', () => {
  it.each([
    { it: 'a count of Prisma’s', value: { count: 42n }, is: { count: 42 } },
    { it: 'NUL and halves of pairs', value: { 'a\0': '\ud83d' }, is: { 'a\ufffd': '\ufffd' } },
    { it: 'a number', value: 5, is: { result: 5 } },
    { it: 'a text', value: 'done', is: { result: 'done' } },
    { it: 'a list', value: [1n], is: { result: [1] } },
    { it: 'nothing', value: null, is: null },
    { it: 'a function', value: () => 1, is: null },
    { it: 'a key named error', value: { error: 1 }, is: { error: 1 } },
  ])('$it has succeeded', async ({ value, is }) => {
    await startWorker()
    const [one, now] = await runAll([async () => value, () => value])
    expect(one).toMatchObject({ status: 'success', errorCode: null })
    expect(one?.details).toEqual(is)
    expect(now?.details).toEqual(is)
  })

  it('whatever is odd has an end, and what JSON cannot say no other than what it can', async () => {
    await startWorker()
    const runs = await runAll(
      ODD_NAMES.map((name) => async () => ({ odd: makeHostile({ is: 'odd', name }) })),
    )
    const failed = runs.flatMap(({ errorCode }, at) =>
      errorCode ? [[ODD_NAMES[at], errorCode]] : [],
    )
    expect(failed).toEqual([
      ['buffer', 'details_too_large'],
      ['sparse', 'details_too_large'],
      ['arrayOfGreatLength', 'details_too_large'],
    ])
  })

  it('too much has done its work: its counts are kept, and it is not tried again', async () => {
    await startWorker()
    const text = 'x'.repeat(65_536)
    const [large, small, thrown] = await runAll([
      async ({ batch }: Parameters<AnyHandler>[0]) => {
        await batch(async () => ({ cleaned: 3 }))
        return { text }
      },
      async () => ({ text: text.slice(0, 65_000) }),
      async () => {
        throw new JobError('too_warm', 'It is too warm', { details: { text } })
      },
    ])
    expect(large).toMatchObject({
      status: 'failed',
      errorCode: 'details_too_large',
      details: { cleaned: 3, batches: 1 },
    })
    expect(small?.status).toBe('success')
    expect(thrown?.details).toMatchObject({
      error: { code: 'too_warm', omitted: 'details_too_large' },
    })
    expect(thrown?.details).not.toHaveProperty('text')
  })
})

describe('whatever a handler throws', () => {
  it('its run ends, with a code and the reason, and a line in the log', async () => {
    await startWorker()
    const runs = await runAll([
      ...ODD_NAMES.map((name) => () => Promise.reject(makeHostile({ is: 'odd', name }))),
      ...ODD_NAMES.map((name) => () => {
        throw makeHostile({ is: 'odd', name })
      }),
    ])
    expect(runs.filter(({ status }) => status !== 'failed')).toEqual([])
    for (const { errorCode, details } of runs) {
      expect(errorCode).toBe('handler_failed')
      expect(details?.error).toMatchObject({ code: 'handler_failed', message: expect.any(String) })
    }
    const lines = runtime.lines.filter(
      ({ msg, name }) => msg === 'job run finished' && name === 'act',
    )
    expect(lines).toHaveLength(runs.length)
    expect(lines.every(({ err }) => typeof (err as { stack?: unknown }).stack === 'string')).toBe(
      true,
    )
  })

  it('of its stack and its cause is kept and logged what helps', async () => {
    await startWorker()
    const cause = Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' })
    const run = await runOf(async function sendMail() {
      throw new JobError('mail_away', 'No mail server', { cause })
    })
    const error = {
      code: 'mail_away',
      message: 'No mail server',
      stack: expect.stringMatching(
        /^at .*sendMail \(packages\/engine\/test\/run\/everyEnd\.test\.ts:\d+/,
      ),
      cause: { code: 'EHOSTUNREACH', message: 'no route' },
    }
    expect(run.details).toEqual({ error })
    const [line] = runtime.lines.filter(
      ({ msg, runId }) => msg === 'job run finished' && runId === run.id,
    )
    expect(line).toMatchObject({
      details: { error: { code: 'mail_away', message: 'No mail server' } },
      err: {
        message: expect.stringContaining('No mail server'),
        stack: expect.stringContaining('sendMail'),
      },
    })
  })

  it('a code of the engine’s own gives it no rights', async () => {
    await startWorker()
    const drained = new JobError('drained', 'as if')
    const runs = await runAll([
      () => Promise.reject(drained),
      () => Promise.reject(Object.assign(new Error('x'), { code: 'drained' })),
    ])
    expect(runs.map(({ errorCode }) => errorCode)).toEqual(['handler_drained', 'handler_drained'])
  })

  it('of an error of 5 MB, of emojis, and of a JobError’s odd texts, the beginning is kept', async () => {
    await startWorker()
    const runs = await runAll([
      () => Promise.reject(new Error('x'.repeat(5_000_000))),
      () => Promise.reject(new Error(`x${'👍'.repeat(400)}`)),
      () =>
        Promise.reject(
          new JobError('odd\0', '\ud83d'.repeat(10_000), { details: { a: '\0', n: 1n as never } }),
        ),
    ])
    expect(runs[0]?.details?.error?.message).toHaveLength(501)
    expect(runs[1]?.details?.error?.message).toBe(`x${'👍'.repeat(249)}…`)
    expect(runs[2]).toMatchObject({ errorCode: 'odd\ufffd', details: { a: '\ufffd', n: 1 } })
  })
})

describe('a handler', () => {
  it('that is none, and a schema that fails, end their runs', async () => {
    await startWorker({
      handlers: {
        get act() {
          return 5
        },
        innocent: async () => ({}),
        odd: async () => undefined,
      } as never,
    })
    expect(await runOf(null)).toMatchObject({ status: 'failed', errorCode: 'handler_failed' })
  })

  it('whose schema is asynchronous, and rejects, fails as payload_invalid', async () => {
    const validate = () => Promise.reject(new Error('late'))
    const broken = {
      ...odd,
      payload: { '~standard': { version: 1, vendor: 'odd', validate } } as never,
    }
    await startWorker({ jobs: [act, innocent, broken] as never })
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, odd, {}))
    expect(await ended(1)).toMatchObject([{ status: 'failed', errorCode: 'payload_invalid' }])
    await waitFor(() => runtime.lines.some(({ msg }) => msg === 'job run finished'))
    expect(runtime.lines.filter(({ msg }) => String(msg).includes('left an error'))).toEqual([])
  })

  it('that overwrites what it was handed ends its own run', async () => {
    await startWorker()
    const run = await runOf(async (context: Parameters<AnyHandler>[0]) => {
      for (const key of ['id', 'name', 'attempt']) Reflect.set(context.run, key, 'other')
      Reflect.set(context, 'run', null)
      expect(Reflect.set(context.run ?? {}, 'id', 'other')).toBe(true)
    })
    expect(run).toMatchObject({ name: 'act', status: 'success' })
  })
})

describe('a batch', () => {
  beforeEach(() => runtime.rows('create table if not exists "Effect" (n int)'))
  beforeEach(() => runtime.rows('truncate "Effect"'))

  const counting =
    (counts: unknown) =>
    async ({ batch }: Parameters<AnyHandler>[0]) => {
      await batch(async () => ({ cleaned: 2 }))
      await batch(async (tx) => {
        await tx.$executeRawUnsafe('insert into "Effect" values (1)')
        return counts as never
      })
    }

  it.each([
    { counts: Number.NaN },
    { counts: 'five' },
    { counts: [1] },
    { counts: { cleaned: Number.NaN } },
    { counts: { cleaned: Infinity } },
    { counts: { cleaned: '5' } },
    { counts: { cleaned: undefined } },
    { counts: { cleaned: 2n ** 70n } },
    { counts: { 'a\0': 1 } },
    { counts: { 'a\ud83d': 1 } },
    { counts: { batches: 1 } },
    { counts: { error: 1 } },
    { counts: JSON.parse('{"__proto__": 1}') as unknown },
    { counts: makeHostile({ is: 'odd', name: 'getterThrows' }) },
    { counts: makeHostile({ is: 'large', of: 'keys', count: 4_000 }) },
  ])('that counts what is no count is rolled back, and says so', async ({ counts }) => {
    await startWorker()
    const run = await runOf(counting(counts))
    expect(run).toMatchObject({
      status: 'failed',
      errorCode: 'counts_invalid',
      details: { cleaned: 2, batches: 1 },
    })
    expect(await runtime.rows('select * from "Effect"')).toEqual([])
  })

  it('may count a bigint, and nothing', async () => {
    await startWorker()
    expect((await runOf(counting({ cleaned: 3n }))).details).toEqual({ cleaned: 5, batches: 2 })
    await forgetRuns()
    expect((await runOf(counting(undefined))).details).toEqual({ cleaned: 2, batches: 1 })
  })
})

describe('progress', () => {
  it.each([
    { report: [5n, 10n], kept: { done: 5, total: 10 } },
    { report: [-1, Infinity], kept: { done: 0, total: null } },
    { report: [1e300, '7'], kept: { done: Number.MAX_SAFE_INTEGER, total: null } },
    { report: [Number.NaN, 1], kept: null },
    { report: [makeHostile({ is: 'odd', name: 'toStringThrows' }), 1], kept: null },
  ])('is a number that can be shown, or not kept', async ({ report, kept }) => {
    await startWorker()
    const run = await runOf(async ({ progress }: Parameters<AnyHandler>[0]) => {
      progress(...(report as [number, number]))
    })
    expect(run).toMatchObject({ status: 'success', progress: kept })
  })
})

it(
  'generated outcomes all have an end with a code, and harm no other run',
  { timeout: 300_000 },
  async () => {
    await startWorker()
    const outcomes = fc.array(hostileOutcome({ maxCount: 100_000 }), {
      minLength: 20,
      maxLength: 25,
    })
    await fc.assert(
      fc.asyncProperty(outcomes, async (drawn) => {
        await forgetRuns()
        // Written down before the handlers scribble on them.
        const whats = drawn.map((outcome) => JSON.stringify(outcome).slice(0, 500))
        const runs = await runAll(drawn.map(play))
        for (const [at, { status, errorCode, details }] of runs.entries()) {
          const what = whats[at]
          expect(status === 'failed', what).toBe(errorCode !== null)
          if (errorCode === null) continue
          expect(details?.error, what).toMatchObject({
            code: errorCode,
            message: expect.any(String),
          })
          // PostgreSQL never had to refuse anything: it was made storable before.
          expect(errorCode, what).not.toBe('details_unstorable')
        }
      }),
      { numRuns: 10, endOnFailure: true },
    )
    expect(runtime.lines.filter(({ msg }) => msg === 'settling failed, trying again')).toEqual([])
  },
)

function play(outcome: HostileOutcome) {
  return (context: never) => playOutcome(outcome, context, JobError)
}
