import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/** What users have to learn: every value of every public entry. Types that these mention are free. */
const PUBLIC = {
  '.': [
    'ArgumentError',
    'JobError',
    'RateLimited',
    'cronProblem',
    'defineHandlersModule',
    'defineJob',
    'defineLimit',
    'definePayload',
    'isEngineJob',
    'isScheduled',
    'nearest',
    'nextTick',
    'pruneJobRuns',
    'reschedule',
    'withEngineJobs',
  ],
  './alerts': ['createAlertWatcher', 'createAlertWebhook'],
  './client': [
    'TablesError',
    'createJobsClient',
    'describeProblem',
    'getBulk',
    'getJobHealth',
    'getJobRun',
    'getManyWork',
    'getOldestSnapshot',
    'getQueueStats',
    'getWork',
    'getWorkByKey',
    'listBulks',
    'listDeadLetters',
    'listJobRuns',
    'listProblems',
    'listSchedules',
    'listWaitingWork',
    'listWorkers',
    'openReader',
  ],
  './metrics': [
    'countPings',
    'createRunMetrics',
    'watchJobHealth',
    'watchOldestSnapshot',
    'watchQueue',
    'watchWorker',
  ],
  './migrate': ['MigrationDeniedError', 'MigrationRefusedError', 'migrate'],
  './testing': ['openTestJobs'],
  './worker': ['createPinger', 'createWorker', 'run', 'runOnce'],
}
const MAX_PUBLIC = 70

it('the public interface has these values, and no more than can be learnt in one sitting', async () => {
  const manifest = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  ) as { exports: Record<string, { '@roundsman/source'?: string }> }
  const values: Record<string, string[]> = {}
  for (const [entry, { '@roundsman/source': source }] of Object.entries(manifest.exports)) {
    if (entry === './internal' || source === undefined) continue
    const module = (await import(new URL(`../${source}`, import.meta.url).href)) as object
    values[entry] = Object.keys(module).toSorted()
  }
  expect(values).toEqual(PUBLIC)
  expect(Object.values(values).flat().length).toBeLessThanOrEqual(MAX_PUBLIC)
})
