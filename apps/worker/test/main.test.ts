// Processes: runs, stops and kills workers.
import { cleanupI18nCache, cleanupPreviewSessions } from '@roundsman/jobs'
import { waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { enqueue } from './enqueue.ts'
import { holdRow } from './holdRow.ts'
import { insertSessions } from './insertSessions.ts'
import { useWorkerDatabase } from './useWorkerDatabase.ts'
import { startWorkerProcess } from './startWorkerProcess.ts'

const EVERY_SECOND = { CLEANUP_PREVIEW_SESSIONS_CRON: '* * * * * *' }

const { database, runs, queueState } = useWorkerDatabase()

/** Lists connections to the database, except the test's own. */
async function connections(): Promise<string[]> {
  const rows = await database.prisma.$queryRaw<{ name: string }[]>`
    select application_name as name from pg_stat_activity
    where datname = current_database() and application_name <> 'tests'`
  return rows.map(({ name }) => name)
}

describe('at work', () => {
  it('runs what is due, and logs the start and the end of each run', async () => {
    await insertSessions(database.prisma, { expired: 2, revoked: 1, active: 4 })
    const worker = await startWorkerProcess(database, EVERY_SECOND)

    const enabled = await worker.waitForMessage('Jobs scheduler enabled')
    const started = await worker.waitForMessage('job run started')
    const finished = await worker.waitForMessage('job run finished')

    expect(enabled).toMatchObject({
      jobs: expect.arrayContaining([
        expect.objectContaining({
          name: 'cleanupPreviewSessions',
          cron: '* * * * * *',
          timeZone: 'UTC',
        }),
        expect.objectContaining({ name: 'cleanupI18nCache' }),
        expect.objectContaining({ name: 'pruneJobRuns' }),
      ]),
    })
    const run = { name: 'cleanupPreviewSessions', runId: started['runId'], attempt: 1 }
    const scheduledFor = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
    expect(started).toMatchObject({ ...run, trigger: 'schedule', scheduledFor })
    expect(finished).toMatchObject({
      ...run,
      status: 'success',
      durationMs: expect.any(Number),
      details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 },
    })
    expect(await runs()).toContainEqual(
      expect.objectContaining({
        id: started['runId'],
        trigger: 'schedule',
        status: 'success',
        scheduledFor: new Date(started['scheduledFor'] as string),
        details: finished['details'],
      }),
    )
  })
})

describe('told to stop', () => {
  it('takes no new work, finishes the run that is under way, and exits with 0', async () => {
    await insertSessions(database.prisma, { expired: 3 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const worker = await startWorkerProcess(database)
    await worker.waitForMessage('Jobs scheduler enabled')
    await enqueue(database, cleanupPreviewSessions)
    await held.reached()

    const exit = worker.kill('SIGTERM')
    expect(await worker.waitForMessage('worker draining')).toMatchObject({ reason: 'SIGTERM' })
    const late = await enqueue(database, cleanupI18nCache)
    expect(await worker.status('/health/ready')).toBe(503)
    expect(await worker.status('/health/live')).toBe(200)
    expect(await runs()).toMatchObject([{ status: 'running' }])
    await held.release()

    expect(await exit).toEqual({ code: 0, signal: null })
    expect(worker.messages('job run finished')).toMatchObject([{ status: 'success' }])
    expect(worker.stdout.at(-1)).toContain('"msg":"worker stopped"')
    expect(worker.stderr).toEqual([])
    expect(await runs()).toMatchObject([
      { status: 'success', details: { cleaned: 3, expired: 3, revoked: 0, batches: 1 } },
    ])
    expect(await queueState(late)).toBe('created')
    await waitFor(async () => (await connections()).length === 0)
  })

  it('gives back in time what hangs, and exits with 0', async () => {
    await insertSessions(database.prisma, { expired: 3 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const worker = await startWorkerProcess(database, { DRAIN_TIMEOUT_MS: '100' })
    await worker.waitForMessage('Jobs scheduler enabled')
    const id = await enqueue(database, cleanupPreviewSessions)
    await held.reached()

    // The hanging statement would outlast this test.
    expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })

    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'drained' } } },
    ])
    expect(await queueState(id)).toBe('retry')
    await held.release()
    await waitFor(async () => (await connections()).length === 0)
    expect(await database.prisma.previewSession.count({ where: { status: 'active' } })).toBe(3)
  })

  it('aborts what runs when it is told a second time, records that, and exits with 0', async () => {
    await insertSessions(database.prisma, { expired: 3 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const worker = await startWorkerProcess(database, { DRAIN_TIMEOUT_MS: '600000' })
    await worker.waitForMessage('Jobs scheduler enabled')
    const id = await enqueue(database, cleanupPreviewSessions)
    await held.reached()

    const exit = worker.kill('SIGTERM')
    await worker.waitForMessage('worker draining')
    const toldAt = performance.now()
    // Two signals in quick succession count as one.
    await waitFor(() => performance.now() - toldAt > 400)
    void worker.kill('SIGTERM')

    expect(await exit).toEqual({ code: 0, signal: null })
    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'drained' } } },
    ])
    expect(await queueState(id)).toBe('retry')
    await held.release()
  })
})
