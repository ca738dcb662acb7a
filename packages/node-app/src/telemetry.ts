export {
  Counter,
  createMetrics,
  Gauge,
  Histogram,
  type Metrics,
  type Registry,
} from './metrics/createMetrics.ts'
export { mayScrape } from './metrics/mayScrape.ts'
export type { Tracing } from './tracing/openTracing.ts'
export type { RequestTrace } from './tracing/traceRequest.ts'
export type { TracedClient } from './tracing/traceDatabase.ts'
