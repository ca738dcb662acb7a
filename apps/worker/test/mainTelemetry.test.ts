// Processes: runs and kills workers.
import { cleanupI18nCache } from '@roundsman/jobs'
import { openForTests, openMonitor, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { enqueue } from './enqueue.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { startWorkerProcess } from './startWorkerProcess.ts'

const database = openForTests(openWorkerDatabase)
beforeEach(
  () =>
    database.prisma
      .$executeRaw`truncate "PreviewSession", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
)

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
})
