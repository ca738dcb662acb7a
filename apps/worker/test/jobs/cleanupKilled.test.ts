// Processes: kills clean-ups.
import { join } from 'node:path'
import { cleanupPreviewSessions as job } from '@roundsman/jobs'
import { spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { cleanupPreviewSessions } from '../../src/jobs/cleanupPreviewSessions.ts'
import { holdRow } from '../holdRow.ts'
import { insertSessions } from '../insertSessions.ts'
import { openCleanup } from './openCleanup.ts'

const CLI = join(import.meta.dirname, '../../src/cli.ts')
const error = { code: 'worker_lost', message: expect.any(String) }

const { prisma, database, run, expectRuns } = openCleanup(job, cleanupPreviewSessions)

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
