import { isScheduled, type Job } from '@roundsman/engine'
import { jobs } from '@roundsman/jobs'
import { expect, it } from 'vitest'
import { readWorkerEnvironment, nextRuns } from '../src/env.ts'

const NOW = new Date('2026-05-01T12:00:00Z')

it('tells when each scheduled job is due next, by the schedule that the environment gives it', () => {
  const env = readWorkerEnvironment({ CLEANUP_I18N_CACHE_CRON: '30 18 * * *' })

  expect(nextRuns(env, NOW)).toEqual(
    expect.arrayContaining([
      { name: 'cleanupPreviewSessions', nextRun: new Date('2026-05-01T12:15:00Z') },
      { name: 'cleanupI18nCache', nextRun: new Date('2026-05-01T18:30:00Z') },
      { name: 'pruneJobRuns', nextRun: new Date('2026-05-02T03:30:00Z') },
    ]),
  )
})

it('tells that none is due while jobs are disabled', () => {
  const env = readWorkerEnvironment({ JOBS_ENABLED: 'false' })

  const scheduled = (jobs as readonly Job[]).filter(isScheduled)
  expect(scheduled.map(({ name }) => name)).toContain('pruneJobRuns')
  expect(nextRuns(env, NOW)).toEqual(scheduled.map(({ name }) => ({ name, nextRun: null })))
})
