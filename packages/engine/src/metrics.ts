/** Metrics of jobs, registered with the prom-client that the host passes in: `import * as prometheus from 'prom-client'`. */
export { createRunMetrics } from './metrics/createRunMetrics.ts'
export type { MetricsTarget, Prometheus } from './metrics/prometheus.ts'
export type { FreshnessOptions } from './metrics/keepFresh.ts'
export { type JobHealthWatchOptions, watchJobHealth } from './metrics/watchJobHealth.ts'
export {
  type OldestSnapshotWatchOptions,
  watchOldestSnapshot,
} from './metrics/watchOldestSnapshot.ts'
export { type QueueWatchOptions, watchQueue } from './metrics/watchQueue.ts'
export { countPings, watchWorker } from './metrics/watchWorker.ts'
