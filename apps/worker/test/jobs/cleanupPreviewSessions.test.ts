// Not quick: cleans large tables, and starts workers.
import { JobError, type Counts } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { cleanupPreviewSessions as job } from '@roundsman/jobs'
import { firstLook } from '@roundsman/sweep'
import { readWorkState, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  cleanupPreviewSessions as handler,
  endedSessions,
} from '../../src/jobs/cleanupPreviewSessions.ts'
import { enqueue } from '../enqueue.ts'
import { holdRow } from '../holdRow.ts'
import { holdTransaction } from '../holdTransaction.ts'
import { insertSessions } from '../insertSessions.ts'
import { NOW, openCleanup } from './openCleanup.ts'

const target = endedSessions(NOW)
const cleanup = openCleanup(job, handler)
const { prisma, run, expectRuns } = cleanup

const ofSuccess = (expired: number, batches: unknown = expect.any(Number)) => ({
  status: 'success',
  details: { cleaned: expired, expired, revoked: 0, batches },
})

const countActive = (client = prisma()) =>
  client.previewSession.count({ where: { status: 'active' } })

/** Whether a batch changed rows: some only look. */
const isChange = (counts: Counts | void) => counts !== undefined && counts['cleaned'] !== 0

describe('which sessions', () => {
  /** Inserts one session and returns its status after the next run. */
  async function statusAfterRun(session: {
    expiresInMs: number
    revoked?: boolean
    status?: 'active' | 'expired'
  }): Promise<string> {
    const { expiresInMs, revoked = false, status = 'active' } = session
    const { id } = await prisma().previewSession.create({
      data: {
        tokenHash: 'hash',
        label: 'one',
        expiresAt: new Date(NOW.getTime() + expiresInMs),
        revoked,
        status,
      },
    })
    await run()
    return (await prisma().previewSession.findUniqueOrThrow({ where: { id } })).status
  }

  it('counts by reason: two past their time, one revoked', async () => {
    await insertSessions(prisma(), { expired: 2, revoked: 1 })

    await run()

    const statuses = await prisma().previewSession.groupBy({ by: ['status'], _count: true })
    expect(statuses).toEqual([{ status: 'expired', _count: 3 }])
    await expectRuns({ details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 } })
  })

  it('counts a session that is both past its time and revoked once, as revoked', async () => {
    expect(await statusAfterRun({ expiresInMs: -1, revoked: true })).toBe('expired')
    await expectRuns({ details: { cleaned: 1, expired: 0, revoked: 1, batches: 1 } })
  })

  it('marks one that expired a millisecond ago', async () => {
    expect(await statusAfterRun({ expiresInMs: -1 })).toBe('expired')
  })

  it('leaves one alone that expires at this very instant', async () => {
    expect(await statusAfterRun({ expiresInMs: 0 })).toBe('active')
  })

  it('does not count one again that was marked before', async () => {
    await statusAfterRun({ expiresInMs: -1, revoked: true, status: 'expired' })
    await expectRuns({ details: { cleaned: 0, expired: 0, revoked: 0, batches: 0 } })
  })

  it('asks before it ends nearly all that are active, however many have ended before', async () => {
    await insertSessions(prisma(), { expired: 20_000 })
    await prisma().previewSession.updateMany({ data: { status: 'expired' } })
    await insertSessions(prisma(), { expired: 10_001 })

    await run({ job })
    await run({ job, dryRun: true })

    expect(await countActive()).toBe(10_001)
    const guard = { due: 10_001, allowed: 10_000, total: 10_001 }
    const error = { code: 'guard_blocked', message: expect.any(String) }
    await expectRuns(
      { status: 'failed', details: { guard, error } },
      { status: 'success', details: expect.objectContaining({ guard }) },
    )
  })

  it('changes nothing of a session but its status', async () => {
    await insertSessions(prisma(), { expired: 1 })
    const before = await prisma().previewSession.findFirst()

    await run()

    expect(await prisma().previewSession.findFirst()).toEqual({ ...before, status: 'expired' })
  })
})

/** What holds for every clean-up is shown with this one; the rules of a sweep have their tests in @roundsman/sweep. */
describe('a clean-up', () => {
  it('that finds nothing to do records a run that says so', async () => {
    expect(await run()).toMatchObject({ kind: 'ended', run: { status: 'success' } })
    await expectRuns({ ...ofSuccess(0, 0), dryRun: false, trigger: 'cli', attempt: 1 })
  })

  it('run twice, cleans nothing the second time', async () => {
    await insertSessions(prisma(), { expired: 3 })

    await run()
    await run()

    await expectRuns(ofSuccess(3, 1), ofSuccess(0, 0))
  })

  it.each([
    { due: 111, stillDue: 111 },
    { due: 10_001, stillDue: 'over 10,000' },
  ])('has not found nothing to do where all of it is locked: $due', async ({ due, stillDue }) => {
    await insertSessions(prisma(), { expired: due })
    await holdTransaction(prisma(), (tx) => tx.$queryRaw`select 1 from "PreviewSession" for update`)

    await run()

    const { details } = ofSuccess(0, 0)
    await expectRuns({ status: 'success', details: { ...details, stillDue } })
  })

  it.each([
    { order: 'index', count: 1_500 },
    { order: 'pages', count: 20_000 },
  ])(
    'counts in a dry run what a real one would change, changes nothing, and is recorded as dry, by $order',
    async ({ order, count }) => {
      await insertSessions(prisma(), { expired: count })
      const { isAll } = await prisma().$transaction((tx) => firstLook(tx, target))
      expect(isAll).toBe(order === 'index')
      const all = await prisma().previewSession.findMany({ orderBy: { expiresAt: 'asc' } })
      const ids = new Set(all.map(({ id }) => id))

      await run({ dryRun: true })
      expect(await countActive()).toBe(count)
      await run()

      const counted = ofSuccess(count)
      const isSample = (sample: string[]) =>
        new Set(sample).size === 10 && sample.every((id) => ids.has(id))
      const found = {
        oldest: all[0]?.expiresAt.toISOString(),
        newest: all.at(-1)?.expiresAt.toISOString(),
        sample: expect.toSatisfy(isSample),
      }
      await expectRuns(
        { ...counted, details: { ...counted.details, ...found }, dryRun: true },
        { ...counted, dryRun: false },
      )
    },
  )

  it('says in a dry run that nothing is due', async () => {
    await insertSessions(prisma(), { active: 3 })

    await run({ dryRun: true })

    const { status, details } = ofSuccess(0, 0)
    await expectRuns({ status, details: { ...details, oldest: null, newest: null, sample: [] } })
  })

  it('leaves out of a dry run what somebody holds locked', async () => {
    await insertSessions(prisma(), { expired: 5 })
    await holdTransaction(
      prisma(),
      (tx) => tx.$queryRaw`select 1 from "PreviewSession" where "label" = '1' for update`,
    )

    await run({ dryRun: true })

    await expectRuns({ details: expect.objectContaining({ cleaned: 4, batches: 1, stillDue: 1 }) })
  })

  it('aborted after a batch, fails with the counts of that batch, and the next run does the rest', async () => {
    await insertSessions(prisma(), { expired: 2_000 })
    const stop = new AbortController()
    const error = { code: 'cancelled', message: 'No longer wanted' }
    const abortAfterABatch: typeof handler = Object.assign(
      (context: Parameters<typeof handler>[0]) =>
        handler({
          ...context,
          batch: async (work) => {
            const counts = await context.batch(work)
            if (isChange(counts)) {
              stop.abort(new JobError(error.code, error.message, { retryable: false }))
            }
            return counts
          },
        }),
      { sweeps: handler.sweeps },
    )

    await run({ handler: abortAfterABatch, signal: stop.signal })
    expect(await countActive()).toBe(1_000)
    await run()

    const { details } = ofSuccess(1_000, 1)
    await expectRuns({ status: 'failed', details: { ...details, error } }, ofSuccess(1_000, 1))
  })

  it('two at once: the second is refused, and says which one is under way', async () => {
    await insertSessions(prisma(), { expired: 3 })
    const held = await holdRow(prisma(), 'PreviewSession', `old."label" = '2'`)
    const first = run()
    await held.reached()

    const second = await run()
    await held.release()

    const { run: ended } = (await first) as { run: { id: string } }
    expect(second).toMatchObject({ kind: 'alreadyRunning', runId: ended.id })
    await expectRuns({ ...ofSuccess(3, 1), id: ended.id })
  })

  it('refused by the database, is retried where it stopped, and given up after the last attempt', async () => {
    await insertSessions(prisma(), { expired: 2_000 })
    await prisma().$executeRawUnsafe(`
      create function refuse_row() returns trigger language plpgsql as $$
      begin raise exception 'this row stays'; end $$`)
    onTestFinished(async () => {
      await prisma().$executeRawUnsafe('drop function refuse_row cascade')
    })
    await prisma().$executeRawUnsafe(`
      create trigger refuse_row before update on "PreviewSession"
      for each row when (old."label" = '1500') execute function refuse_row()`)
    const database = cleanup.database()
    const worker = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: database.url,
      client: prisma(),
      jobs: [{ ...cleanup.job, retry: { limit: 1, delayMs: 1, maxDelayMs: 1 } }],
      handlers: { cleanupPreviewSessions: handler },
      log: pino({ level: 'silent' }),
    })
    await worker.start()
    onTestFinished(() => worker.stop())

    const id = await enqueue(database, cleanup.job)
    await waitFor(async () => (await readWorkState(prisma(), id)) === 'failed')

    const error = {
      name: 'PrismaClientKnownRequestError',
      code: expect.any(String),
      message: expect.stringContaining('this row stays'),
    }
    const { details } = ofSuccess(1_000, 1)
    const ofQueue = { status: 'failed', trigger: 'queue', workId: id }
    await expectRuns(
      { ...ofQueue, attempt: 1, details: { ...details, error } },
      { ...ofQueue, attempt: 2, details: { error } },
    )
    expect(await countActive()).toBe(1_000)
  })
})
