import type { Connections } from '@roundsman/engine/worker'
import * as prometheus from 'prom-client'

export interface Metrics {
  /** For whoever has metrics to add. */
  prometheus: typeof prometheus
  /** Where a process keeps metrics of its own. */
  registry: Registry
  /** How long a connection pool is: read at each scrape. */
  watchPool(pool: string, read: () => Connections): void
  /** What a scrape gets. */
  render(): Promise<string>
  contentType: string
}

const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = prometheus
type Registry = prometheus.Registry
export { Counter, Gauge, Histogram, type Registry }

/** The process is woken as often, also when it is idle; at the default, 10 ms, that is most of what it does then. */
const LAG_PRECISION_MS = 100

/**
 * The metrics of one process, in a registry of its own: those of Node itself (event loop, heap, garbage
 * collection), of the process, which build it is, and its pools. More is added where it is known.
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
      help: 'Connections to the database that are open, by what they do.',
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
      help: 'Connections that a pool opens at most.',
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
