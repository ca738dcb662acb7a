/** What prom-client shows of jobs. It is the host's, and handed over: `import * as prometheus from 'prom-client'`. */
export { createRunMetrics } from './metrics/createRunMetrics.ts'
export type { MetricsTarget, Prometheus } from './metrics/prometheus.ts'
export { watchJobHealth, type JobHealthWatchOptions } from './metrics/watchJobHealth.ts'
export { watchQueue, type QueueWatchOptions } from './metrics/watchQueue.ts'
export { countPings, watchWorker } from './metrics/watchWorker.ts'
