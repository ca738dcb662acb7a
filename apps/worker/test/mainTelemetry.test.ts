// Processes: runs and kills workers.
import { join } from 'node:path'
import { cleanupI18nCache, cleanupPreviewSessions } from '@roundsman/jobs'
import { openForTests, openMonitor, spawnProcess, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { enqueue } from './enqueue.ts'
import { holdRow } from './holdRow.ts'
import { insertSessions } from './insertSessions.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { startWorkerProcess, workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')

const database = openForTests(openWorkerDatabase)
beforeEach(
  () =>
    database.prisma
      .$executeRaw`truncate "PreviewSession", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
)

const ridOf = async () => {
  const runs = await database.prisma.jobRun.findMany({ orderBy: { attempt: 'asc' } })
  return runs.map(({ id }) => id)
}

describe('pings', () => {
  it('do not hold up runs, nor the end of the process, while the monitor hangs', async () => {
    const monitor = await openMonitor()
    monitor.react('hang')
    const PING = { CLEANUP_I18N_CACHE_PING_URL: monitor.url.href }
    const worker = await startWorkerProcess(database, PING)
    await worker.waitForMessage('Jobs scheduler enabled')
    for (let n = 0; n < 3; n++) await enqueue(database, cleanupI18nCache)
    await waitFor(() => worker.messages('job run finished').length === 3)
    expect(monitor.pings.every((ping) => ping.startsWith('POST /check/start'))).toBe(true)
    expect(await worker.kill()).toEqual({ code: 0, signal: null })
  })

  it('tell that a run has failed whose worker was killed, by the one that rescues it', async () => {
    const monitor = await openMonitor()
    const PING = { CLEANUP_PREVIEW_SESSIONS_PING_URL: monitor.url.href }
    await insertSessions(database.prisma, { expired: 3 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const doomed = await startWorkerProcess(database, PING)
    await doomed.waitForMessage('Jobs scheduler enabled')
    await enqueue(database, cleanupPreviewSessions)
    await held.reached()
    const heir = await startWorkerProcess(database, PING)
    await heir.waitForMessage('Jobs scheduler enabled')
    await doomed.kill('SIGKILL')
    await held.release()
    await heir.waitForMessage('job run finished')
    await heir.kill()

    const [first, second] = await ridOf()
    expect(new Set(monitor.pings.map((ping) => ping.split(' ')[1]))).toEqual(
      new Set([
        `/check/start?rid=${first}`,
        `/check/fail?rid=${first}`,
        `/check/start?rid=${second}`,
        `/check?rid=${second}`,
      ]),
    )
    expect(monitor.pings).toHaveLength(4)
    const failed = monitor.pings.find((ping) => ping.includes('/fail'))
    expect(failed).toMatch(/ failed: worker_lost, attempt 1$/)
  })

  it('tell of a run by hand, which waits for them', async () => {
    const monitor = await openMonitor()
    const PING = { CLEANUP_I18N_CACHE_PING_URL: monitor.url.href }
    const once = spawnProcess(CLI, {
      args: ['once', 'cleanupI18nCache'],
      env: workerEnvironment(database, PING),
    })
    expect(await once.exited).toEqual({ code: 0, signal: null })
    expect(monitor.pings).toHaveLength(2)
  })
})
