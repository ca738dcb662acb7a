// Not quick: starts processes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { buildApp } from '../../apps/api/src/app.ts'
import {
  createWorkerMetrics,
  withEmailCounts,
} from '../../apps/worker/src/metrics/createWorkerMetrics.ts'
import { createJobsClient } from '@roundsman/engine/client'
import { createRunMetrics, watchJobHealth, watchOldestSnapshot } from '@roundsman/engine/metrics'
import { createMetrics } from '@roundsman/node-app/telemetry'
import { WORKSPACE_ROOT } from './stack.ts'

interface KnownMetric {
  name: string
  type: string
  labels: string[]
}

/** All metrics of both processes, with their labels. */
let all: KnownMetric[]
/** Our own among them. */
let metrics: KnownMetric[]
/** The page for all products, and that of this repository's own. */
let page: string

beforeAll(async () => {
  const pages = ['docs/observability.md', 'docs/environment.md'].map((path) =>
    readFile(join(WORKSPACE_ROOT, path), 'utf8'),
  )
  page = (await Promise.all(pages)).join('\n')
  const worker = createWorkerMetrics('1')
  createRunMetrics(worker, [])
  withEmailCounts({ send: async () => ({ kind: 'sent' }), close: () => undefined }, worker.registry)
  worker.watchQueue({} as never, [])
  const api = createMetrics({ app: 'api', version: '1' })
  const target = { prometheus: api.prometheus, registry: api.registry }
  watchOldestSnapshot({ ...target, read: async () => null })
  watchJobHealth({ ...target, read: async () => ({ problems: [], paused: [] }) })
  // Never asked: the API only has to know its routes.
  const databaseUrl = 'postgresql://127.0.0.1:1/nowhere'
  const jobsClient = createJobsClient({ databaseUrl, log: { warn() {}, error() {} } })
  const app = buildApp({
    prisma: {} as never,
    jobsClient,
    jobs: [],
    jwtSecret: 'a secret for tests, of thirty-two or more characters',
    metrics: { metrics: api, token: 'none' },
  })
  await app.ready()
  await app.close()
  await jobsClient.stop()
  all = [worker, api].flatMap(({ registry }) =>
    registry.getMetricsAsArray().map((metric) => ({
      name: metric.name,
      type: String(metric.type),
      labels: (metric as unknown as { labelNames: string[] }).labelNames,
    })),
  )
  metrics = all.filter(({ name }) => !/^(nodejs|process)_/.test(name))
})

it('has a row for each metric, with its labels', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'))
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

it('asks in the alerts only for metrics and labels that are there', async () => {
  expect(page).toContain('](alerts.yaml)')
  const rules = await readFile(join(WORKSPACE_ROOT, 'docs/alerts.yaml'), 'utf8')
  const expressions = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(
    ([, expression = '']) => expression,
  )
  expect(expressions.length).toBeGreaterThan(5)
  expect(expressions.flatMap(findUnknown)).toEqual([])
})

it('asks in the dashboard only for metrics and labels that are there, and shows each metric', async () => {
  expect(page).toContain('](grafana.json)')
  const { panels } = JSON.parse(
    await readFile(join(WORKSPACE_ROOT, 'docs/grafana.json'), 'utf8'),
  ) as { panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[] }
  const targets = panels.flatMap((panel) => panel.targets ?? [])
  expect(targets.flatMap(({ expr }) => findUnknown(expr))).toEqual([])
  // A legend that names a label which the expression sums away shows nothing.
  const legends = targets.filter(({ expr, legendFormat }) =>
    [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].some(
      ([, label = '']) => !groupedBy(expr).includes(label),
    ),
  )
  expect(legends).toEqual([])
  const shown = new Set(targets.flatMap(({ expr }) => metricsIn(expr)))
  // The most connections that there may be need no panel.
  shown.add('roundsman_db_pool_max_connections')
  expect(metrics.filter(({ name }) => !shown.has(name)).map(({ name }) => name)).toEqual([])
})

/** Labels that Prometheus, or we, put on everything. */
const LABELS_OF_ALL = ['app', 'instance', 'job']
const WORDS = ['by', 'and', 'or', 'unless', 'on', 'ignoring', 'without', 'absent']

/** The metrics and labels of a PromQL expression that do not exist. */
function findUnknown(expression: string): string[] {
  const unknown: string[] = []
  const selectors = expression.matchAll(/\b([a-z_]+)\{([^}]*)\}/g)
  for (const [, name = '', matchers = ''] of selectors) {
    for (const [, label = ''] of matchers.matchAll(/(\w+) *(?:=|!)/g)) {
      if (!labelsOf(name).includes(label)) unknown.push(`${name}{${label}}`)
    }
  }
  const names = namesIn(expression)
  for (const name of names) if (!find(name)) unknown.push(name)
  for (const label of groupedBy(expression)) {
    const lacking = names.find((name) => !labelsOf(name).includes(label))
    if (lacking !== undefined) unknown.push(`${lacking} by (${label})`)
  }
  return unknown
}

/** The series that an expression names. */
function namesIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"|\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\bby *\([^)]*\)/g, ' ')
  return [...bare.matchAll(/\b[a-z_][a-z_\d]*\b(?! *\()/g)]
    .map(([name]) => name)
    .filter((name) => !WORDS.includes(name))
}

function metricsIn(expression: string): string[] {
  return namesIn(expression).flatMap((name) => find(name)?.name ?? [])
}

function groupedBy(expression: string): string[] {
  return [...expression.matchAll(/\bby *\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  )
}

/** Finds the metric of a series. A histogram has three kinds of series, none of its own name. */
function find(series: string): KnownMetric | undefined {
  const base = series.replace(/_(bucket|sum|count)$/, '')
  return all.find(({ name, type }) =>
    type === 'histogram' ? base !== series && name === base : name === series,
  )
}

function labelsOf(series: string): string[] {
  const labels = find(series)?.labels ?? []
  return [...LABELS_OF_ALL, ...labels, ...(series.endsWith('_bucket') ? ['le'] : [])]
}
