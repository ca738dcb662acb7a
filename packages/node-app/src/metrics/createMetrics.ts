import type { Connections } from '@roundsman/engine/worker'
import * as prometheus from 'prom-client'

export interface Metrics {
  /** For code that adds metrics. */
  prometheus: typeof prometheus
  /** Where a process registers its own metrics. */
  registry: Registry
  /** Adds gauges of a connection pool, which each scrape reads. */
  watchPool(pool: string, read: () => Connections): void
  /** Returns the text that a scrape gets. */
  render(): Promise<string>
  contentType: string
}

const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = prometheus
type Registry = prometheus.Registry
export { Counter, Gauge, Histogram, type Registry }

/**
 * How often the event loop's lag is measured. Each measurement wakes the process, and at the default of 10 ms an idle one
 * would do little else.
 */
const LAG_PRECISION_MS = 100

/**
 * The metrics of one process, in a registry of its own: Node's (event loop, heap, garbage collection), the process's, its
 * build and its pools. Other modules add theirs.
 */
export function createMetrics({ app, version }: { app: string; version: string }): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ app })
  collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: LAG_PRECISION_MS,
  })
  new Gauge({
    name: 'roundsman_build_info',
    help: 'Always 1; its labels say which build this is.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  }).set({ version, node_version: process.version }, 1)

  const pools = new Map<string, () => Connections>()
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_db_pool_connections',
      help: 'Open connections to the database, idle or busy.',
      labelNames: ['pool', 'state'],
      registers: [],
      collect() {
        for (const [pool, read] of pools) {
          const { total, idle } = read()
          this.set({ pool, state: 'idle' }, idle)
          this.set({ pool, state: 'busy' }, total - idle)
        }
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_db_pool_max_connections',
      help: 'The most connections that a pool opens.',
      labelNames: ['pool'],
      registers: [],
      collect() {
        for (const [pool, read] of pools) this.set({ pool }, read().max)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_db_pool_waiting',
      help: 'Statements and transactions that wait for a connection.',
      labelNames: ['pool'],
      registers: [],
      collect() {
        for (const [pool, read] of pools) this.set({ pool }, read().waiting)
      },
    }),
  )

  return {
    prometheus,
    registry,
    watchPool: (pool, read) => void pools.set(pool, read),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
