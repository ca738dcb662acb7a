// Processes: kills clean-ups.
import { join } from 'node:path'
import { cleanupPreviewSessions as job } from '@roundsman/jobs'
import { firstLook } from '@roundsman/sweep'
import { spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { cleanupPreviewSessions, endedSessions } from '../../src/jobs/cleanupPreviewSessions.ts'
import { holdRow } from '../holdRow.ts'
import { insertSessions } from '../insertSessions.ts'
import { NOW, openCleanup } from './openCleanup.ts'

const CLI = join(import.meta.dirname, '../../src/cli.ts')
const error = { code: 'worker_lost', message: expect.any(String) }

const { prisma, database, run, runs, expectRuns } = openCleanup(job, cleanupPreviewSessions)

const countActive = () => prisma().previewSession.count({ where: { status: 'active' } })
const holdNumber = (number: number) =>
  holdRow(prisma(), 'PreviewSession', `old."label" = '${number}' and old."status" = 'active'`)

const spawnOnce = () =>
  spawnProcess(CLI, {
    args: ['once', job.name],
    env: { DATABASE_URL: database().url, LOG_LEVEL: 'info' },
  })

/** Runs the job again once PostgreSQL has noticed that the earlier process is gone. */
async function runAgain(): Promise<void> {
  const result = await waitFor(async () => {
    const next = await run()
    return next.kind === 'ended' && next
  })
  expect(result).toMatchObject({ run: { status: 'success' } })
}

it('killed in a batch: the next run ends it as failed with exact counts, and does the rest', async () => {
  await insertSessions(prisma(), { expired: 2_000 })
  const held = await holdNumber(1_500)
  const killed = spawnOnce()
  await held.reached()

  await killed.kill('SIGKILL')
  await held.release()
  await runAgain()

  expect(await countActive()).toBe(0)
  const details = { cleaned: 1_000, expired: 1_000, revoked: 0, batches: 1 }
  await expectRuns(
    { status: 'failed', details: { ...details, error } },
    { status: 'success', details },
  )
})

it('killed at whatever moment: the counts of all runs add up to the rows changed', async () => {
  // So many that the next batch begins while one commits, and that the job's own guard finds little due.
  const count = 80_000
  await insertSessions(prisma(), { expired: count })
  const { isAll } = await prisma().$transaction((tx) => firstLook(tx, endedSessions(NOW)))
  expect(isAll).toBe(false)
  await insertSessions(prisma(), { active: 50_000 })
  await prisma().$executeRaw`analyze "PreviewSession"`
  // None of them can finish.
  const held = await holdNumber(count - 100)
  const left = async () => (await countActive()) - 50_000
  for (const step of [1_000, 6_000, 3_000]) {
    const before = await left()
    const doomed = spawnOnce()
    await doomed.waitForLine('job run started')
    // The worker before it may have come as far as anyone can.
    const stepped = waitFor(async () => before - (await left()) >= step)
    await Promise.race([stepped, held.reached()])
    await doomed.kill('SIGKILL')
  }
  await held.release()
  await waitFor(async () => {
    const writers = await prisma().$queryRaw<unknown[]>`
      select from pg_locks where relation = '"PreviewSession"'::regclass and mode = 'RowExclusiveLock'
        and database = (select oid from pg_database where datname = current_database())`
    return writers.length === 0
  })
  const changed = count - (await left())
  await runAgain()

  const all = await runs()
  const killed = { status: 'failed', details: expect.objectContaining({ error }) }
  expect(all).toMatchObject([killed, killed, killed, { status: 'success' }])
  const cleaned = all.map(({ details }) => (details as { cleaned?: number }).cleaned ?? 0)
  expect(cleaned.slice(0, 3).reduce((sum, each) => sum + each)).toBe(changed)
  expect(cleaned.reduce((sum, each) => sum + each)).toBe(count)
})
