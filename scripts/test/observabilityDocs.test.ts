import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { watchJobHealth } from '../../apps/api/src/jobHealth/watchJobHealth.ts'
import { buildApp } from '../../apps/api/src/app.ts'
import { countEmails } from '../../apps/worker/src/metrics/countEmails.ts'
import { createRunMetrics } from '../../apps/worker/src/metrics/createRunMetrics.ts'
import { createWorkerMetrics } from '../../apps/worker/src/metrics/createWorkerMetrics.ts'
import { createMetrics } from '../../packages/telemetry/src/index.ts'
import { WORKSPACE_ROOT } from './stack.ts'

/** Every metric of ours that either process has, with its labels. */
let metrics: { name: string; labels: string[] }[]
let page: string

beforeAll(async () => {
  page = await readFile(join(WORKSPACE_ROOT, 'docs/observability.md'), 'utf8')
  const worker = createWorkerMetrics('1')
  createRunMetrics(worker.registry, [])
  countEmails({ send: async () => ({ kind: 'sent' }), close: () => undefined }, worker.registry)
  worker.watchQueue({} as never, [])
  const api = createMetrics({ app: 'api', version: '1' })
  watchJobHealth({ registry: api.registry, read: async () => ({ problems: [], paused: [] }) })
  // Nothing is asked of it: it has to know its routes, and no more.
  const app = buildApp({
    prisma: {} as never,
    jobsClient: {} as never,
    jobs: [],
    jwtSecret: 'a secret for tests, of thirty-two or more characters',
    metrics: { metrics: api, token: 'none' },
  })
  await app.ready()
  await app.close()
  metrics = [worker, api].flatMap(({ registry }) =>
    registry
      .getMetricsAsArray()
      .map((metric) => ({
        name: metric.name,
        labels: (metric as unknown as { labelNames: string[] }).labelNames,
      }))
      .filter(({ name }) => !/^(nodejs|process)_/.test(name)),
  )
})

it('has a row for each metric, with its labels', () => {
  const table = page.slice(page.indexOf('| metric |'), page.indexOf('### Alerts'))
  const rows = table.split('\n')
  for (const { name, labels } of metrics) {
    const row = rows.find((each) => each.includes(`\`${name}\``))
    expect(row, name).toBeDefined()
    expect(labels.filter((label) => !row?.includes(`\`${label}\``))).toEqual([])
  }
})

it('names no metric that is not there', () => {
  const names = new Set(metrics.map(({ name }) => name))
  const named = new Set(page.match(/\b(roundsman|http)_[a-z]+_[a-z_]+\b/g))
  expect([...named].filter((name) => !names.has(name))).toEqual([])
})
