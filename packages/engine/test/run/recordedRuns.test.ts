// Not quick: waits for retries and results.
import { getEventListeners } from 'node:events'
import type { PrismaClient } from '@roundsman/db'
import { openForTests, waitFor } from '@roundsman/testing'
import { v7 as uuid } from 'uuid'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  countEqualFailures,
  findWorkOfRun,
  listOtherAttempts,
  searchRuns,
} from '../../src/internal.ts'
import { createJobsClient, getJobRun, listDeadLetters, listJobRuns } from '../../src/client.ts'
import {
  defineJob,
  JobError,
  type HandlersFor,
  type JsonValue,
  type TransactionOf,
} from '../../src/index.ts'
import { readFailures } from '../../src/judge/findFailing.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { claimWork, findWorkOfClaims } from '../../src/queue/claimWork.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { runOnce, type WorkerOptions } from '../../src/worker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { claimRequest } from '../claimRequest.ts'
import { openProxyTo } from '../openProxyTo.ts'

const retry = { limit: 1, delayMs: 1_000, maxDelayMs: 1_000 }
const order = defineJob({
  name: 'order',
  payload: z.object({ orderId: z.string(), card: z.string().default('') }),
  retry,
  label: ({ orderId }) => {
    if (orderId === 'broken') throw new Error(`no label for ${orderId}`)
    return `Order ${orderId}`
  },
  show: ['orderId'],
  redact: (text) => text.replaceAll('broken', '[id]'),
})
const plain = defineJob({
  name: 'plain',
  dryRun: true,
  guard: { maxRows: 1 },
  payload: z.looseObject({}),
  retry: { ...retry, limit: 0 },
})
const invoice = defineJob({
  name: 'invoice',
  payload: z.looseObject({}),
  retry: { ...retry, limit: 0 },
  result: z.object({ pages: z.number(), at: z.coerce.date() }),
})
const nightly = defineJob({
  name: 'nightly',
  schedule: { cron: '0 3 * * *' },
  label: () => 'The night',
})
const jobs = [order, plain, invoice, nightly] as const
const ACTOR = { actor: 'ann', reason: 'a test' }

type Handlers = HandlersFor<typeof jobs, TransactionOf<PrismaClient>>

const runtime = useTestRuntime({ cleared: ['JobAction'] })
const queue = openForTests(() => openTestQueue(runtime, jobs))

async function startWorker(
  handlers: Partial<Handlers>,
  options: Partial<WorkerOptions<typeof jobs, PrismaClient>> = {},
): Promise<void> {
  const nothing = async () => undefined
  await startTestWorker(runtime, {
    jobs,
    handlers: {
      order: nothing,
      plain: nothing,
      nightly: nothing,
      invoice: async () => ({ pages: 1, at: new Date(0) }),
      ...handlers,
    },
    clock: noClock,
    ...options,
  })
}

const enqueue = async (payload: { orderId: string; card?: string }) =>
  (await queue.client.enqueueNow(order, { card: '', ...payload })).workId

/** In alphabetical order, with missing labels last. */
const labelsOf = (runs: readonly { label: string | null }[]) =>
  runs
    .map(({ label }) => label)
    .toSorted((a, b) => (a === null ? 1 : b === null ? -1 : a.localeCompare(b)))

const ended = async (workId: string, attempt = 1) =>
  await waitFor(async () => {
    const { runs } = await listJobRuns(runtime.reader, { limit: 10, workId })
    return runs.find((run) => run.endedAt !== null && run.attempt === attempt)
  })

/** Claims as a worker does. */
async function claim(name = 'order') {
  const { work } = await claimWork(runtime.database, {
    workerId: 'w1',
    requests: [claimRequest(name)],
    startedAt: new Date(),
  })
  return work
}

describe('the label of a piece of work', () => {
  it('is stored with it, whoever enqueues it, and with its runs, and found in lists', async () => {
    const { client } = queue
    await startWorker({
      order: async ({ enqueue: more, payload, log, batch }) => {
        log.info('at work')
        if (payload.orderId === '1')
          await batch(
            async (tx) => void (await more(tx, order, { orderId: '4', card: 'secret card' })),
          )
      },
    })
    await enqueue({ orderId: '1' })
    await client.enqueueManyNow(order, [{ payload: { orderId: '2', card: 'x' } }])
    await client.requestRun(order, { ...ACTOR, payload: { orderId: '3' } })

    const runs = await waitFor(async () => {
      const page = await listJobRuns(runtime.reader, { limit: 10, status: 'success' })
      return page.runs.length === 4 && page.runs
    })
    expect(labelsOf(runs)).toEqual([1, 2, 3, 4].map((n) => `Order ${n}`))
    const run = await getJobRun(runtime.reader, runs.find(({ label }) => label === 'Order 4')!.id)
    expect(run).toMatchObject({ shown: { orderId: '4' } })
    const stored = await runtime.rows('select to_jsonb(run)::text as "text" from "JobRun" run')
    expect(JSON.stringify(stored)).not.toContain('secret card')
    expect(runtime.lines.filter(({ label }) => label === 'Order 4')).toHaveLength(2)
  })

  it('is that of a run which is not written yet, and is written with its end, once', async () => {
    await enqueue({ orderId: '7' })
    const [taken] = await claim()
    expect((await listJobRuns(runtime.reader, { limit: 1 })).runs).toMatchObject([
      { status: 'running', label: 'Order 7' },
    ])
    expect(await runtime.rows('select from "JobRun"')).toEqual([])
    await recordRunning(runtime.database, 'w1', taken!)
    expect(await runtime.rows('select "label", "shown" from "JobRun"')).toEqual([
      { label: 'Order 7', shown: { orderId: '7' } },
    ])
    // A claim whose answer was lost keeps the label, too.
    await enqueue({ orderId: '8' })
    const [lost] = await claim()
    const request = { ...claimRequest('order'), claimId: lost!.claim.id }
    const [found] = await findWorkOfClaims(runtime.database, 'w1', [request])
    await recordRunning(runtime.database, 'w1', found!)
    expect(await runtime.rows('select "label" from "JobRun" order by "label"')).toEqual([
      { label: 'Order 7' },
      { label: 'Order 8' },
    ])
  })

  it('is told of work that failed, was tried again and was given up', async () => {
    await startWorker({ order: () => Promise.reject(new TypeError('no luck')) })
    const id = await enqueue({ orderId: '8', card: '4111 1111' })
    await ended(id, 2)
    const { deadLetters } = await waitFor(async () => {
      const page = await listDeadLetters(runtime.reader, { limit: 5 })
      return page.deadLetters.length === 1 && page
    })
    expect(deadLetters).toMatchObject([{ label: 'Order 8', shown: { orderId: '8' } }])
    const { runs } = await listJobRuns(runtime.reader, { limit: 5, workId: id })
    expect(runs.map(({ label }) => label)).toEqual(['Order 8', 'Order 8'])
  })

  it('is missing where its function fails, and the work is done all the same', async () => {
    await startWorker({})
    const { client } = queue
    const items = ['broken', '9', 'broken'].map((orderId) => ({ payload: { orderId, card: '' } }))
    const answers = await client.enqueueManyNow(order, items)
    for (const { workId } of answers) await ended(workId)
    const { runs } = await listJobRuns(runtime.reader, { limit: 5, status: 'success' })
    expect(labelsOf(runs)).toEqual(['Order 9', null, null])
    const warned = runtime.lines.filter(({ msg }) =>
      /label function of a job failed/.test(String(msg)),
    )
    expect(warned).toMatchObject([{ name: 'order', problem: 'Error: no label for [id]' }])
  })

  it('is searched for by whatever text', async () => {
    await enqueue({ orderId: '%_' })
    await startWorker({})
    await waitFor(async () => (await searchRuns(runtime.reader, 'ORDER %')).labels.length === 1)
    for (const text of ['Order \0', '\0', 'Order \ud800', 'Order _'])
      expect((await searchRuns(runtime.reader, text)).labels).toEqual([])
  })

  it('is that of what the command line runs, and of ticks', async () => {
    const { url, prisma, log } = runtime
    const by = { databaseUrl: url, schema: 'public', client: prisma, log }
    const payload = { orderId: '5' }
    const ran = await runOnce({ ...by, job: order, handler: async () => undefined, payload })
    expect(ran).toMatchObject({ kind: 'ended', run: { status: 'success' } })
    // Starting a worker records the job's schedule.
    await startWorker({})
    await runtime.rows(
      `update "JobSchedule" set "cursor" = "cursor" - interval '1 day', "nextAt" = "nextAt" - interval '1 day',
         "dueAt" = "dueAt" - interval '1 day' where "name" = 'nightly'`,
    )
    const labels = await waitFor(async () => {
      const { runs } = await listJobRuns(runtime.reader, { limit: 5, status: 'success' })
      return runs.length === 2 && labelsOf(runs)
    })
    expect(labels).toEqual(['Order 5', 'The night'])
  })
})

describe('what a run logs', () => {
  it('is kept with its end, masked, and goes with it', async () => {
    await startWorker({
      order: async ({ log, payload, run }) => {
        log.info({ card: payload.card }, 'paid')
        if (run.attempt === 1) throw new Error('no luck')
        log.warn('second try')
      },
    })
    const id = await enqueue({ orderId: '1', card: '4111 of anna@example.com' })
    const { id: first } = await ended(id, 1)
    expect(await getJobRun(runtime.reader, first)).toMatchObject({
      logs: {
        earlier: 0,
        lines: [{ level: 'info', message: 'paid', fields: 'card=4111 of [redacted]' }],
      },
    })
    const { id: second } = await ended(id, 2)
    expect(await getJobRun(runtime.reader, second)).toMatchObject({
      logs: { lines: [{ message: 'paid' }, { level: 'warn', message: 'second try' }] },
    })
  })

  it('is kept, and its result as well, of runs that are written as they start', async () => {
    await startWorker({
      invoice: async ({ log }) => {
        log.info('done')
        return { pages: 7, at: new Date(0) }
      },
    })
    const { client } = queue
    const { workId } = await client.enqueueNow(invoice, {}, { priority: 1 })
    const result = { pages: 7, at: new Date(0) }
    expect(await client.result(invoice, workId)).toMatchObject({ kind: 'success', result })
    const { id } = await ended(workId)
    expect(await getJobRun(runtime.reader, id)).toMatchObject({
      logs: { lines: [{ message: 'done' }] },
    })
  })

  it('is kept of runs that are written once, and of those that log nothing there is nothing', async () => {
    await startWorker({
      plain: async ({ log, payload }) => {
        if (payload.says === true) log.info('done')
      },
    })
    const items = [true, false].map((says) => ({ payload: { says } }))
    const answers = await queue.client.enqueueManyNow(plain, items)
    for (const { workId } of answers) await ended(workId)
    expect(
      await runtime.rows(
        `select "logs" #>> '{lines,0,message}' as "said" from "JobRun" order by 1`,
      ),
    ).toEqual([{ said: 'done' }, { said: null }])
  })

  it('is shown from the sixth second on while a run goes on, and stays of a run that is lost', async () => {
    let aheadMs = 0
    const gate = Promise.withResolvers<void>()
    const begun: Promise<void>[] = []
    const log = Promise.withResolvers<(message: string) => void>()
    await startWorker(
      {
        plain: async (context) => {
          context.log.info('begun')
          begun.push(context.batch(async () => ({ sheep: 1 })).then(() => undefined))
          log.resolve((message) => context.log.info(message))
          await gate.promise
        },
      },
      { now: () => new Date(Date.now() + aheadMs) },
    )
    onTestFinished(() => gate.resolve())
    await queue.client.enqueueNow(plain, {})
    const add = await log.promise
    await Promise.all(begun)
    const read = () =>
      runtime.rows<{ id: string; lines: string[] | null }>(
        `select "id"::text, array(select line ->> 'message' from jsonb_array_elements("logs" -> 'lines') line) as "lines" from "JobRun"`,
      )
    expect(await read()).toMatchObject([{ lines: [] }])
    aheadMs = 6_000
    await waitFor(async () => (await read())[0]?.lines?.length === 1)
    add('goes on')
    await waitFor(async () => (await read())[0]?.lines?.length === 2)

    const { database, log: own } = runtime
    await runtime.rows(
      `update "JobClaim" set "workerId" = 'gone'; update "JobRun" set "workerId" = 'gone'; insert into "JobWorker" ("id") values ('gone') on conflict do nothing`,
    )
    await rescueLostRuns({ database, workerId: 'w1', log: own, now: () => new Date() })
    const [run] = await read()
    expect(await getJobRun(runtime.reader, run!.id)).toMatchObject({
      errorCode: 'worker_lost',
      logs: { lines: [{ message: 'begun' }, { message: 'goes on' }] },
    })
  })

  it('is written of a run that has written nothing else', async () => {
    let aheadMs = 0
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    await startWorker(
      {
        plain: async ({ log }) => {
          log.info('begun')
          begun.resolve()
          await gate.promise
        },
      },
      { now: () => new Date(Date.now() + aheadMs) },
    )
    onTestFinished(() => gate.resolve())
    const { workId } = await queue.client.enqueueNow(plain, {})
    await begun.promise
    expect(await runtime.rows(`select from "JobRun"`)).toEqual([])
    aheadMs = 6_000
    await waitFor(async () => {
      const [row] = await runtime.rows<{ status: string; message: string }>(
        `select "status", "logs" #>> '{lines,0,message}' as "message" from "JobRun"`,
      )
      return row?.status === 'running' && row.message === 'begun'
    })
    gate.resolve()
    expect(await ended(workId)).toMatchObject({ status: 'success' })
  })

  it('is not kept by a worker that is told so', async () => {
    await startWorker({ plain: async ({ log }) => log.info('done') }, { keepLogs: false })
    const { workId } = await queue.client.enqueueNow(plain, {})
    const { id } = await ended(workId)
    expect(await getJobRun(runtime.reader, id)).toMatchObject({ logs: null })
    expect(runtime.lines.some(({ msg }) => msg === 'done')).toBe(true)
  })
})

describe('the attempts at a piece of work', () => {
  it('say when each was due, and how it ended', async () => {
    await startWorker({ order: () => Promise.reject(new Error('no luck')) })
    const id = await enqueue({ orderId: '1' })
    const second = await ended(id, 2)
    const first = await ended(id, 1)
    const found = await getJobRun(runtime.reader, second.id)
    // From the end of the pause after the first attempt on, and not since it was first enqueued.
    expect(Date.parse(found!.dueAt!)).toBeGreaterThan(Date.parse(first.endedAt!))
    expect(Date.parse(found!.startedAt)).toBeGreaterThanOrEqual(Date.parse(found!.dueAt!) - 5)
    expect(await listOtherAttempts(runtime.reader, second)).toEqual([
      {
        id: first.id,
        attempt: 1,
        status: 'failed',
        outcome: 'failed',
        startedAt: first.startedAt,
        endedAt: first.endedAt,
        dueAt: null,
        errorCode: 'handler_failed',
      },
    ])
  })

  it('were due when the work was to start, where it was delayed', async () => {
    const startAfter = new Date(Date.now() + 3_600_000)
    const { workId } = await queue.client.enqueueNow(plain, {}, { startAfter })
    await runtime.rows(
      `update "JobWork" set "enqueuedAt" = "enqueuedAt" - interval '2 hours', "dueAt" = now() - interval '1 minute'`,
    )
    await placeDue(runtime.database, ['plain'])
    const [taken] = await claim('plain')
    expect(taken).toMatchObject({ workId })
    await recordRunning(runtime.database, 'w1', taken!)
    const [run] = await runtime.rows<{ late: number }>(
      `select round(extract(epoch from now() - "dueAt"))::int as "late" from "JobRun"`,
    )
    expect(run!.late).toBeGreaterThanOrEqual(60)
    expect(run!.late).toBeLessThan(120)
  })

  it.each([false, true])('were due then whatever the run says: a log line %s', async (says) => {
    const startAfter = new Date(Date.now() + 3_600_000)
    const { workId } = await queue.client.enqueueNow(plain, {}, { startAfter })
    await runtime.rows(
      `update "JobWork" set "enqueuedAt" = "enqueuedAt" - interval '2 hours', "dueAt" = now() - interval '1 minute'`,
    )
    await startWorker({ plain: async ({ log }) => void (says && log.info('done')) })
    const { id } = await ended(workId)
    const { dueAt } = (await getJobRun(runtime.reader, id))!
    expect(Date.now() - Date.parse(dueAt!)).toBeGreaterThanOrEqual(60_000)
  })

  it('were due at once, where they were to be tried again without a pause', async () => {
    await queue.client.enqueueNow(plain, {})
    await queue.fail(await queue.take('plain'), { code: 'drained', message: '' }, 'redeliver')
    const [taken] = await claim('plain')
    expect(taken).toMatchObject({ attempt: 2 })
    await recordRunning(runtime.database, 'w1', taken!)
    const [{ dueAt }, ...others] = (await runtime.rows<{ dueAt: Date }>(
      'select "dueAt" from "JobRun" where "dueAt" is not null',
    )) as [{ dueAt: Date }]
    expect([others.length, dueAt.getTime() <= Date.now()]).toEqual([0, true])
  })
})

describe('equal failures', () => {
  it('are counted by code, class and where they were thrown', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const errors: Record<string, Error> = {
      refused: new TypeError('fetch failed', { cause: refused }),
      odd: new TypeError('odd'),
      even: new TypeError('even'),
    }
    await startWorker({
      plain: ({ payload }) => Promise.reject(errors[payload.how as string] ?? new Error('none')),
    })
    const ids: Record<string, string> = {}
    for (const how of ['refused', 'refused', 'odd', 'odd', 'odd', 'even']) {
      const { workId } = await queue.client.enqueueNow(plain, { how })
      const { id } = await ended(workId)
      ids[how] = id
    }
    // Failures of other days or of another job do not count.
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode")
       select gen_random_uuid(), other.name, 'failed', 'queue', 'w1', now() + other.since, now(), 'ECONNREFUSED'
       from (values ('plain', interval '-25 hours'), ('plain', '25 hours'), ('order', '0')) other(name, since)`,
    )
    const counted = async (how: string) => {
      const run = (await getJobRun(runtime.reader, ids[how]!))!
      const { error } = run.details as { error: { code: string; name: string } }
      const equal = await countEqualFailures(runtime.reader, run)
      return [error.code, error.name, equal?.count, equal?.isCut]
    }
    expect(await counted('refused')).toEqual(['ECONNREFUSED', 'TypeError', 2, false])
    expect(await counted('odd')).toEqual(['handler_failed', 'TypeError', 3, false])
    expect(await counted('even')).toEqual(['handler_failed', 'TypeError', 1, false])
  })
})

describe('a run that a person has asked for', () => {
  const request = (options: { dryRun?: boolean } = {}) =>
    queue.client.requestRun(plain, { ...ACTOR, payload: { secret: 'payload' }, ...options })
  const letters = async () => (await listDeadLetters(runtime.reader, { limit: 5 })).deadLetters

  it('says how many workers it has lost while it waits, and nothing of that where it does not wait', async () => {
    const [work] = await runtime.rows<{ workId: string }>(
      `insert into "JobWork" ("id", "name", "dueAt", "losses", "bytes", "payload")
       values (gen_random_uuid(), 'plain', now() + interval '1 hour', 3, 2, '{}') returning "id"::text as "workId"`,
    )
    const { workId } = work!
    expect(await findWorkOfRun(runtime.reader, { name: 'plain', workId })).toMatchObject({
      losses: 3,
    })
    await runtime.rows('delete from "JobWork" where "id" = $1', [workId])
    expect(await findWorkOfRun(runtime.reader, { name: 'plain', workId })).toMatchObject({
      losses: null,
    })
  })

  it('is a dead letter once its attempts are used up, and is redriven as one', async () => {
    let fails = true
    await startWorker({ plain: async () => (fails ? Promise.reject(new Error('no')) : undefined) })
    const workId = await request()
    const run = await ended(workId)
    expect(await letters()).toMatchObject([{ workId, name: 'plain' }])
    expect(await findWorkOfRun(runtime.reader, run)).toEqual({
      holdsPayload: true,
      isDeadLetter: true,
      nextAt: null,
      losses: 0,
      enqueuedAt: expect.any(String),
    })
    fails = false
    expect(await queue.client.redriveDeadLetters('all', ACTOR)).toMatchObject({ redriven: 1 })
    expect(await ended(workId, 2)).toMatchObject({ status: 'success' })
    expect(await letters()).toEqual([])
  })

  it('is none where it only rehearsed, or was blocked by its guard or cancelled', async () => {
    let ends: 'fails' | 'is blocked' | 'waits' = 'fails'
    await startWorker({
      plain: async ({ guard, signal }) => {
        if (ends === 'waits')
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
        if (ends === 'is blocked') await guard({ due: async () => 2, total: async () => 2 })
        throw new JobError('broken', 'over', { retryable: false })
      },
    })
    await ended(await request({ dryRun: true }))
    ends = 'is blocked'
    expect(await ended(await request())).toMatchObject({ errorCode: 'guard_blocked' })
    ends = 'waits'
    const id = await request()
    await waitFor(async () => (await queue.client.cancelRun(id, ACTOR)) === 'requested')
    expect(await ended(id)).toMatchObject({ errorCode: 'cancelled' })
    expect(await letters()).toEqual([])
  })

  it.each(['cancelled', 'guard_blocked', 'expired', 'drained', 'worker_lost'])(
    'is one, and has failed, where the code %s is one that its handler has thrown',
    async (code) => {
      await startWorker({ plain: () => Promise.reject(new JobError(code, 'Payment over')) })
      const workId = await request()
      const errorCode = `handler_${code}`
      expect(await ended(workId)).toMatchObject({ status: 'failed', errorCode })
      expect(await letters()).toMatchObject([{ workId, error: { code: errorCode } }])
      expect(await queue.client.result(plain, workId)).toMatchObject({
        kind: 'failed',
        error: { code: errorCode, message: 'Payment over' },
      })
      expect(await readFailures(runtime.reader, [plain], new Date())).toMatchObject([
        { failed: 1, code: errorCode },
      ])
    },
  )

  it('is run again with the payload that the queue holds, and with none where it is gone', async () => {
    const payloads: unknown[] = []
    let fails = true
    await startWorker({
      plain: async ({ payload }) => {
        payloads.push(payload)
        if (fails) throw new Error('no')
      },
    })
    const { id } = await ended(await request())
    fails = false
    const again = await queue.client.runAgain(plain, id, ACTOR)
    expect(again).toMatchObject({ kind: 'requested' })
    const second = await ended((again as { workId: string }).workId)
    expect(payloads).toEqual([{ secret: 'payload' }, { secret: 'payload' }])
    expect(second).toMatchObject({ trigger: 'manual', actor: 'ann', status: 'success' })
    // Its work has left the queue, and its payload with it.
    expect(await queue.client.runAgain(plain, second.id, ACTOR)).toEqual({
      kind: 'payloadGone',
    })
    expect(await queue.client.runAgain(order, id, ACTOR)).toEqual({ kind: 'notFound' })
    expect(
      await runtime.rows(`select "action", "runId" from "JobAction" where "runId" is not null`),
    ).toEqual([{ action: 'run', runId: id }])
  })
})

describe('a run whose clock was set back', () => {
  it.each(['succeeds', 'fails'])('ends no sooner than it began, when it %s', async (end) => {
    let at = Date.now()
    const ends: number[] = []
    await startWorker(
      {
        plain: async () => {
          at -= 3_600_000
          if (end === 'fails') throw new JobError('broken', '', { retryable: false })
        },
      },
      {
        now: () => new Date(at),
        observers: [
          {
            runStarted: () => ({
              ended: (run) => void ends.push(run.kind === 'lost' ? -1 : run.durationMs),
            }),
          },
        ],
      },
    )
    const { workId } = await queue.client.enqueueNow(plain, {})
    const run = await ended(workId)
    expect(run.endedAt).toBe(run.startedAt)
    await waitFor(() => ends.length === 1)
    expect(ends).toEqual([0])
  })

  it('ends no sooner when another worker ends it, whose clock is behind', async () => {
    const workId = await enqueue({ orderId: '1' })
    await claim()
    const behind = new Date(Date.now() - 3_600_000)
    const { database, log } = runtime
    await runtime.rows(
      `update "JobClaim" set "workerId" = 'gone'; insert into "JobWorker" ("id") values ('gone') on conflict do nothing`,
    )
    await rescueLostRuns({ database, workerId: 'w1', log, now: () => behind })
    const run = await ended(workId)
    expect([run.errorCode, run.endedAt]).toEqual(['worker_lost', run.startedAt])
  })
})

describe('the result of a piece of work', () => {
  const invoicing = async (payload: Record<string, JsonValue> = {}) =>
    (await queue.client.enqueueNow(invoice, payload)).workId

  it('is waited for, and is what the schema makes of it', async () => {
    const { client } = queue
    const id = await invoicing()
    expect(await client.result(invoice, id, { timeoutMs: 0 })).toEqual({ kind: 'pending' })
    const waiting = client.result(invoice, id)
    await startWorker({ invoice: async () => ({ pages: 3, at: new Date(5_000) }) })
    const result = await waiting
    expect(result).toEqual({
      kind: 'success',
      runId: id,
      result: { pages: 3, at: new Date(5_000) },
    })
    if (result.kind === 'success') result.result.at satisfies Date
    expect(await getJobRun(runtime.reader, id)).toMatchObject({ details: null })
  })

  it.each<{ what: string; returned: unknown; code: string; message: RegExp }>([
    {
      what: 'is not valid',
      returned: { pages: 'secret pages', at: 0 },
      code: 'result_invalid',
      message: /its schema refuses: pages: /,
    },
    {
      what: 'is too large',
      returned: { pages: 1, at: 0, text: 'x'.repeat(70_000) },
      code: 'result_too_large',
      message: /more than 64 kB/,
    },
    {
      what: 'is no JSON',
      returned: { pages: 1n, at: 0 },
      code: 'result_unstorable',
      message: /whose pages is a bigint/,
    },
  ])('that $what ends the run as failed, and is not tried again', async (wrong) => {
    await startWorker({ invoice: async () => wrong.returned as never })
    const id = await invoicing()
    const result = await queue.client.result(invoice, id)
    const { code, message } = wrong
    expect(result).toEqual({
      kind: 'failed',
      runId: id,
      error: { code, message: expect.stringMatching(message) },
    })
    expect(JSON.stringify(await runtime.rows('select * from "JobRun"'))).not.toContain('secret')
  })

  it('is that of the last attempt, and tells of work that failed, was stopped or is unknown', async () => {
    const { client } = queue
    await startWorker({
      order: async ({ run }) => {
        if (run.attempt === 1) throw new Error('no luck')
      },
      plain: ({ signal, payload }) =>
        payload.how === 'fails'
          ? Promise.reject(new Error('no luck'))
          : new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error)),
            ),
    })
    expect(await client.result(order, await enqueue({ orderId: '1' }))).toMatchObject({
      kind: 'success',
      result: null,
    })
    const failed = await client.enqueueNow(plain, { how: 'fails' })
    expect(await client.result(plain, failed.workId)).toMatchObject({
      kind: 'failed',
      error: { code: 'handler_failed', message: 'no luck' },
    })
    const { workId } = await client.enqueueNow(plain, {})
    await waitFor(async () => (await client.cancelRun(workId, ACTOR)) === 'requested')
    expect(await client.result(plain, workId)).toEqual({
      kind: 'cancelled',
      runId: workId,
    })
    expect(await client.result(plain, uuid())).toEqual({ kind: 'gone' })
    const startAfter = new Date(Date.now() + 3_600_000)
    const late = await client.enqueueNow(plain, {}, { startAfter })
    const ids = [late.workId]
    expect(await client.cancelWork({ job: plain, ids }, ACTOR)).toMatchObject({ done: 1 })
    const cancelled = { kind: 'cancelled', runId: null }
    expect(await client.result(plain, late.workId)).toEqual(cancelled)
  })

  it('is there once its run has failed, while others that were taken with it go on', async () => {
    const { client } = queue
    const items = [{ payload: { how: 'fails' } }, { payload: { how: 'hangs' } }]
    const [failed] = await client.enqueueManyNow(plain, items)
    await startWorker({
      plain: ({ signal, payload }) =>
        payload.how === 'fails'
          ? Promise.reject(new Error('no luck'))
          : new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error)),
            ),
    })
    const id = failed?.workId ?? ''
    await ended(id)
    expect(await client.result(plain, id, { timeoutMs: 0 })).toMatchObject({ kind: 'failed' })
  })

  it('is pending while it runs, written or not, and waits to be tried again', async () => {
    const { client } = queue
    const id = await invoicing()
    const [taken] = await claim('invoice')
    expect(await client.result(invoice, id, { timeoutMs: 0 })).toEqual({ kind: 'pending' })
    await recordRunning(runtime.database, 'w1', taken!)
    expect(await client.result(invoice, id, { timeoutMs: 0 })).toEqual({ kind: 'pending' })
    const failed = await invoicing()
    await queue.fail(await queue.take('invoice'), { code: 'drained', message: '' }, 'redeliver')
    expect(await client.result(invoice, failed, { timeoutMs: 0 })).toEqual({ kind: 'pending' })
  })

  it('tells of work that expired, and of a result that this version does not take', async () => {
    const { client } = queue
    await startWorker({})
    const expiresAt = new Date(Date.now() - 1_000)
    const late = await client.enqueueNow(invoice, {}, { expiresAt })
    expect(await client.result(invoice, late.workId)).toEqual({
      kind: 'expired',
      runId: late.workId,
    })
    const id = await invoicing()
    expect(await client.result(invoice, id)).toMatchObject({ kind: 'success' })
    const newer = { ...invoice, result: z.object({ sheets: z.number() }) }
    await expect(client.result(newer, id)).rejects.toMatchObject({ code: 'result_invalid' })
  })

  /** A client whose way to the database a test can cut. */
  async function openClientThroughProxy() {
    const { proxy, url } = await openProxyTo(runtime.url)
    const client = createJobsClient({ databaseUrl: url, schema: 'public', log: runtime.log })
    onTestFinished(async () => {
      await client.stop()
      proxy.close()
    })
    return { client, proxy }
  }

  it('is waited for while the database is away, by all who wait', async () => {
    const { client, proxy } = await openClientThroughProxy()
    const id = await invoicing()
    const answers = Array.from({ length: 40 }, () => client.result(invoice, id))
    await waitFor(() => proxy.roundTrips() > 40)
    let refused = 0
    proxy.refuse(() => ++refused > 0)
    proxy.cut()
    // Everybody has looked in vain at least once: there are five connections.
    await waitFor(() => refused > 40)
    proxy.refuse(null)
    await startWorker({ invoice: async () => ({ pages: 3, at: new Date(0) }) })
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ kind: 'success', result: { pages: 3 } })
  })

  it('is not waited for where waiting helps nobody', async () => {
    const { client, proxy } = await openClientThroughProxy()
    const id = await invoicing()
    proxy.refuse(() => true)
    await expect(client.result(invoice, id, { timeoutMs: 0 })).rejects.toThrow('onnection')
    const waiting = client.result(invoice, id)
    await client.stop()
    await expect(waiting).rejects.toThrow(Error)
    const elsewhere = createJobsClient({ databaseUrl: runtime.url, schema: 'nothing_there' })
    onTestFinished(() => elsewhere.stop())
    await expect(elsewhere.result(invoice, id)).rejects.toThrow('does not exist')
  })

  it('is looked for seldom, and not beyond its time', async () => {
    const { client, proxy } = await openClientThroughProxy()
    const id = await invoicing()
    await client.result(invoice, id, { timeoutMs: 0 })
    const before = proxy.roundTrips()
    expect(await client.result(invoice, id, { timeoutMs: 200 })).toEqual({ kind: 'pending' })
    // At once, after 50 ms, after 100 ms more, and at the end of its time; less often on a busy machine.
    expect(proxy.roundTrips() - before).toBeLessThanOrEqual(4)
    const stop = new AbortController()
    const waiting = client.result(invoice, id, { timeoutMs: Infinity, signal: stop.signal })
    // Whoever aborts it does not wait for the end of a pause.
    await waitFor(() => getEventListeners(stop.signal, 'abort').length === 1)
    stop.abort(new Error('gone home'))
    await expect(waiting).rejects.toThrow('gone home')
  })

  it('is waited for no longer than it is wanted', async () => {
    const id = await invoicing()
    const stop = new AbortController()
    const waiting = queue.client.result(invoice, id, { signal: stop.signal })
    stop.abort(new Error('gone home'))
    await expect(waiting).rejects.toThrow('gone home')
    await expect(queue.client.result(invoice, id, { timeoutMs: -1 })).rejects.toThrow(TypeError)
  })
})
