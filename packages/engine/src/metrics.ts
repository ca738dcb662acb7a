/** Shows metrics of jobs by the host's prom-client, which it hands over: `import * as prometheus from 'prom-client'`. */
export { createRunMetrics } from './metrics/createRunMetrics.ts'
export type { MetricsTarget, Prometheus } from './metrics/prometheus.ts'
export { watchJobHealth, type JobHealthWatchOptions } from './metrics/watchJobHealth.ts'
export {
  watchOldestSnapshot,
  type OldestSnapshotWatchOptions,
} from './metrics/watchOldestSnapshot.ts'
export { watchQueue, type QueueWatchOptions } from './metrics/watchQueue.ts'
export { countPings, watchWorker } from './metrics/watchWorker.ts'
