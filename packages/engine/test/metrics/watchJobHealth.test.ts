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

const problem = (kind: Problem['kind'], more: Partial<Problem> = {}): Problem => ({
  ...{
    kind,
    stage: 'waiting',
    jobs: [],
    text: '',
    note: null,
    since: null,
    count: 1,
    isCut: false,
  },
  ...more,
})

it('says that all is well, which neither a pause changes nor what is over', async () => {
  const read = async () => ({
    problems: [problem('failing', { stage: 'over' })],
    paused: ['pruneJobRuns'],
  })
  expect(await scrape(read)).toEqual(['roundsman_jobs_healthy 1'])
})

it('names each job of a problem, and stays healthy while jobs are done', async () => {
  const problems = [problem('failing', { jobs: ['a', 'b'] }), problem('lockWait')]
  expect(await scrape(async () => ({ problems }))).toEqual([
    'roundsman_jobs_healthy 1',
    'roundsman_job_problem{kind="failing",job_name="a"} 1',
    'roundsman_job_problem{kind="failing",job_name="b"} 1',
    'roundsman_job_problem{kind="lockWait",job_name=""} 1',
  ])
})

it('says that jobs are not done', async () => {
  const problems = [problem('late', { jobs: ['pruneJobRuns'], isUnhealthy: true })]
  expect(await scrape(async () => ({ problems }))).toEqual([
    'roundsman_jobs_healthy 0',
    'roundsman_job_problem{kind="late",job_name="pruneJobRuns"} 1',
  ])
})

it('says nothing at all while the database fails or hangs', async () => {
  expect(await scrape(() => Promise.reject(new Error('away')))).toEqual([])
  expect(await scrape(() => new Promise(() => undefined))).toEqual([])
})

it('stops naming a problem that is over', async () => {
  const metrics = openTarget()
  const health = { problems: [problem('noWorker')] }
  watchJobHealth({ ...metrics.target, read: async () => health, maxAgeMs: 200 })
  expect(await metrics.render()).toContain('kind="noWorker"')
  health.problems = [problem('late')]
  const later = await waitFor(async () => {
    const text = await metrics.render()
    return text.includes('kind="late"') && text
  })
  expect(later).not.toContain('kind="noWorker"')
})
