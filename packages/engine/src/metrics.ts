/** Shows metrics of jobs by the host's prom-client, which it hands over: `import * as prometheus from 'prom-client'`. */
export { createRunMetrics } from './metrics/createRunMetrics.ts'
export type { MetricsTarget, Prometheus } from './metrics/prometheus.ts'
export { type JobHealthWatchOptions, watchJobHealth } from './metrics/watchJobHealth.ts'
export {
  type OldestSnapshotWatchOptions,
  watchOldestSnapshot,
} from './metrics/watchOldestSnapshot.ts'
export { type QueueWatchOptions, watchQueue } from './metrics/watchQueue.ts'
export { countPings, watchWorker } from './metrics/watchWorker.ts'
