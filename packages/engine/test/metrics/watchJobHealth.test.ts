import { waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import type { Problem } from '../../src/client.ts'
import { watchJobHealth } from '../../src/metrics.ts'
import { openTarget } from './openTarget.ts'

/** The lines about it of a first scrape. */
async function scrape(read: () => Promise<{ problems: Problem[] }>): Promise<string[]> {
  const metrics = openTarget()
  watchJobHealth({ ...metrics.target, read, timeoutMs: 50 })
  return (await metrics.render())
    .split('\n')
    .filter((line) => /^roundsman_jobs?_(healthy|problem)/.test(line))
}

it('says that all is well, which neither a pause changes nor what has recovered', async () => {
  const recovered = { name: 'x', runId: 'x', since: '', code: '', thrown: '', recent: {} as never }
  const problems: Problem[] = [{ kind: 'recovered', ...recovered }]
  const read = async () => ({ problems, paused: ['pruneJobRuns'] })
  expect(await scrape(read)).toEqual(['roundsman_jobs_healthy 1'])
})

it('names what keeps no job from being done, and calls it healthy all the same', async () => {
  const problems: Problem[] = [{ kind: 'unvacuumed', problem: '', remedy: '' }]
  expect(await scrape(async () => ({ problems }))).toEqual([
    'roundsman_jobs_healthy 1',
    'roundsman_job_problem{kind="unvacuumed",job_name=""} 1',
  ])
})

it('says what is not', async () => {
  const since = new Date(0).toISOString()
  const lines = await scrape(async () => ({
    problems: [
      { kind: 'noWorker', lastSignAt: null },
      { kind: 'late', name: 'pruneJobRuns', since },
      { kind: 'overrunning', name: 'dispatchEmail', runId: 'x', since },
    ],
  }))
  expect(lines).toEqual([
    'roundsman_jobs_healthy 0',
    'roundsman_job_problem{kind="noWorker",job_name=""} 1',
    'roundsman_job_problem{kind="late",job_name="pruneJobRuns"} 1',
    'roundsman_job_problem{kind="overrunning",job_name="dispatchEmail"} 1',
  ])
})

it('says nothing at all while the database fails or hangs', async () => {
  expect(await scrape(() => Promise.reject(new Error('away')))).toEqual([])
  expect(await scrape(() => new Promise(() => undefined))).toEqual([])
})

it('stops naming a problem that is over', async () => {
  const metrics = openTarget()
  const health: { problems: Problem[] } = { problems: [{ kind: 'noWorker', lastSignAt: null }] }
  watchJobHealth({ ...metrics.target, read: async () => health, maxAgeMs: 200 })
  expect(await metrics.render()).toContain('kind="noWorker"')
  health.problems = [{ kind: 'late', name: 'pruneJobRuns', since: new Date(0).toISOString() }]
  const later = await waitFor(async () => {
    const text = await metrics.render()
    return text.includes('kind="late"') && text
  })
  expect(later).not.toContain('kind="noWorker"')
})
