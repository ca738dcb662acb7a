// Not quick: starts processes.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob, type RunContext } from '../../src/index.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { CREATE_EFFECTS, drip } from '../fixtures/drip.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { readRuns } from '../readRuns.ts'

const WORKER = new URL('../fixtures/workerProcess.ts', import.meta.url).pathname

const purge = defineJob({
  name: 'purge',
  dryRun: true,
  guard: { maxRows: 100, maxShare: 0.5 },
  schedule: { cron: '0 0 1 1 *' },
})
const by = { actor: 'somebody@example.com', reason: 'because of the test' }

const { runtime, client } = useClientRuntime({ cleared: ['JobTick', 'JobSchedule', 'Effect'] })
let rows = { due: 0, total: 0 }
let removed = 0

beforeAll(() => runtime.rows(CREATE_EFFECTS))

beforeEach(() => void (removed = 0))

async function purgeHandler(context: RunContext<Record<string, never>, unknown>): Promise<void> {
  await context.guard({ total: async () => rows.total, due: async () => rows.due })
  if (context.run.dryRun) return
  context.progress(1, 2)
  await context.batch(async () => ({ removed: (removed += rows.due) }))
}

const startWorker = () =>
  startTestWorker(runtime, { jobs: [purge], handlers: { purge: purgeHandler }, clock: noClock })

const runs = () => readRuns(runtime)
const ended = (count: number) =>
  waitFor(
    async () =>
      (await runs()).filter(({ status }) => status !== 'running').length >= count && runs(),
  )
const requestPurge = (options: { dryRun?: boolean } = {}) =>
  runtime.prisma.$transaction((tx) => client.requestRun(purge, { ...by, ...options }, { tx }))

describe('cancelRun', () => {
  it('reaches a run in another process, which ends as failed and is not tried again', async () => {
    const other = spawnProcess(WORKER, { args: [runtime.url] })
    await other.waitForLine('Jobs scheduler enabled')
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, drip, {}))
    const [run] = await waitFor(async () =>
      (await runs())[0]?.details?.['effects'] ? runs() : null,
    )
    expect(await client.cancelRun(run!.id, by)).toBe('requested')

    const [cancelled] = await ended(1)
    expect(cancelled).toMatchObject({
      status: 'failed',
      details: { error: { code: 'cancelled', message: 'Somebody cancelled the run' } },
    })
    const effects = await runtime.rows('select from "Effect"')
    expect(cancelled!.details!['effects']).toBe(effects.length)
    expect(await runtime.rows('select from "JobDeadLetter"')).toHaveLength(1)
    expect(await runtime.rows('select from "JobCancel"')).toEqual([])
    expect(cancelled).toMatchObject({ cancelRequestedBy: by.actor, reason: by.reason })
    expect(await client.cancelRun(run!.id, by)).toBe('notRunning')
    await other.kill()
  })

  it('knows a run that does not exist', async () => {
    expect(await client.cancelRun(crypto.randomUUID(), by)).toBe('notFound')
  })

  it.each([
    ['plain', true],
    ['other', false],
  ])(
    'in a transaction that stays open does not hold up the end of a run, %s; the first request counts',
    async (_, isPlain) => {
      const opened = await openTestQueue(runtime, [drip])
      onTestFinished(() => opened.close())
      await client.enqueueNow(drip, {})
      const [work] = await opened.take('drip')
      const { runId } = work!
      expect(await client.cancelRun(runId, by)).toBe('requested')
      await runtime.prisma.$transaction(async (tx) => {
        const later = { actor: 'later@example.com', reason: 'later' }
        expect(await client.cancelRun(runId, later, { tx })).toBe('requested')
        await opened.complete([{ ...work!, isPlain }])
        const [run] = await runs()
        expect(run).toMatchObject({
          status: 'success',
          cancelRequestedBy: by.actor,
          reason: by.reason,
        })
      })
      expect(await runtime.rows('select from "JobCancel"')).toEqual([])
      expect(await runtime.rows('select from "JobClaim"')).toEqual([])
      expect(await client.cancelRun(runId, by)).toBe('notRunning')
    },
  )
})

describe('pauseQueue and resumeQueue', () => {
  const at = `now(), now() + interval '1 hour'`
  const known = {
    'a schedule': `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt") values ($1, '0 0 1 1 *', 'UTC', now(), now())`,
    'a worker that takes its work': `insert into "JobWorker" ("id", "lanes") values ('w9', jsonb_build_object($1::text, 1))`,
    'work that is due': `insert into "JobWork" ("id", "name", "bytes") values (gen_random_uuid(), $1, 2)`,
    'delayed work': `insert into "JobWork" ("id", "name", "bytes", "place", "dueAt") values (gen_random_uuid(), $1, 2, null, now() + interval '1 day')`,
    'work that runs alone': `insert into "JobWork" ("id", "name", "bytes", "losses") values (gen_random_uuid(), $1, 2, 2)`,
    'a run under way': `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts") values (gen_random_uuid(), $1, 'w9', ${at}, array[gen_random_uuid()], array[now()])`,
    'a run': `insert into "JobRun" ("id", "name", "trigger", "workerId") values (gen_random_uuid(), $1, 'queue', 'w9')`,
    'what people did': `insert into "JobAction" ("name", "action", "actor") values ($1, 'cancelWork', 'somebody')`,
    'a dead letter': `insert into "JobDeadLetter" ("id", "name", "bytes", "errorCode", "errorMessage") values (gen_random_uuid(), $1, 2, 'x', '')`,
  }
  it.each(Object.entries(known))('know a job by %s', async (_by, insert) => {
    expect(await client.resumeQueue('shearSheep', by)).toBe('notFound')
    await runtime.rows(insert, ['shearSheep'])
    onTestFinished(() => runtime.clear('JobWorker', 'JobQueue', 'JobSchedule', 'JobAction'))
    expect(await client.resumeQueue('shearSheep', by)).toBe('notPaused')
    expect(await client.pauseQueue('shearSheep', by)).toBe('paused')
    expect(await client.pauseQueue('shearSheep', by)).toBe('alreadyPaused')
    expect(await client.resumeQueue('shearSheep', by)).toBe('resumed')
  })

  it('hold a job that nobody knows yet, from its first piece of work on', async () => {
    const shear = defineJob({ name: 'shearSheep' })
    const opened = await openTestQueue(runtime, [shear])
    onTestFinished(() => opened.close())
    expect(await client.pauseQueue(shear.name, by)).toBe('pausedUnknown')
    expect(await client.pauseQueue(shear.name, by)).toBe('alreadyPaused')
    const { workId } = await client.enqueueNow(shear, {})
    expect(await opened.take(shear.name)).toEqual([])
    expect(await client.resumeQueue(shear.name, by)).toBe('resumed')
    expect(await opened.take(shear.name)).toMatchObject([{ workId }])
  })
})

describe('pauseSchedule and resumeSchedule', () => {
  it('say what they found, and record who paused and why', async () => {
    expect(await client.pauseSchedule('purge', by)).toBe('notScheduled')
    expect(await client.resumeSchedule('purge', by)).toBe('notScheduled')
    await startWorker()

    expect(await client.pauseSchedule('purge', by)).toBe('paused')
    expect(await client.pauseSchedule('purge', by)).toBe('alreadyPaused')
    const [schedule] = await runtime.rows('select * from "JobSchedule"')
    expect(schedule).toMatchObject({ pausedBy: by.actor, pauseReason: by.reason })
    expect(await client.resumeSchedule('purge', by)).toBe('resumed')
    expect(await client.resumeSchedule('purge', by)).toBe('notPaused')
  })
})

describe('requestRun', () => {
  it('starts a run that says who wanted it and why', async () => {
    rows = { due: 10, total: 1_000 }
    await startWorker()
    await requestPurge()

    const [run] = await ended(1)
    expect(run).toMatchObject({
      trigger: 'manual',
      status: 'success',
      ...by,
      details: { removed: 10 },
    })
    expect(run!.details).toMatchObject({ guard: { due: 10, allowed: 100, total: 1_000 } })
    await waitFor(async () => (await runs())[0]?.progress)
    expect((await runs())[0]?.progress).toEqual({ done: 1, total: 2 })
  })

  it('stores who and why, whatever these texts hold', async () => {
    const odd = { actor: 'a\0b\ud83d', reason: `\0${'👍'.repeat(5_000)}` }
    const workId = await client.requestRun(purge, odd)
    const reason = `\ufffd${'👍'.repeat(999)}…`
    const [action] = await runtime.rows('select * from "JobAction" where "workId" = $1', [workId])
    expect(action).toMatchObject({ actor: 'a\ufffdb\ufffd', reason })
    const [work] = await runtime.rows('select "facts" from "JobWork" where "id" = $1', [workId])
    expect(work).toMatchObject({ facts: { actor: 'a\ufffdb\ufffd', reason } })
    await runtime.rows(
      `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt")
       values ('purge', '0 0 1 1 *', 'UTC', now(), now())`,
    )
    expect(await client.pauseSchedule('purge', odd)).toBe('paused')
    expect(await client.resumeSchedule('purge', { actor: '\0' })).toBe('resumed')
    expect(await client.cancelRun(workId, odd)).toBe('notFound')
  })
})

describe('a guard', () => {
  it.each([
    [{ due: 101, total: 1_000 }, 100],
    [{ due: 51, total: 100 }, 50],
  ])('blocks a run for which %j is due, before anything changes', async (counted, allowed) => {
    rows = counted
    await startWorker()
    await requestPurge()

    const [run] = await ended(1)
    expect(run).toMatchObject({
      status: 'failed',
      attempt: 1,
      details: {
        error: {
          code: 'guard_blocked',
          message: `${counted.due} rows are due and at most ${allowed} may be changed`,
        },
        guard: { ...counted, allowed },
      },
    })
    expect(removed).toBe(0)
    // Its payload is kept for an approval.
    expect(await runtime.rows('select from "JobDeadLetter"')).toEqual([])
    expect(await runtime.rows('select "payload" from "JobPayload"')).toEqual([{ payload: {} }])
  })

  it('lets a dry run through, which says what it would have blocked', async () => {
    rows = { due: 500, total: 1_000 }
    await startWorker()
    await requestPurge({ dryRun: true })

    const [run] = await ended(1)
    expect(run).toMatchObject({
      status: 'success',
      dryRun: true,
      details: { guard: { due: 500, allowed: 100 } },
    })
  })
})
