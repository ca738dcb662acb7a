/* oxlint-disable typescript/no-explicit-any -- as prom-client has it, whose own types are not installed with us */

/** The host's own prom-client, `import * as prometheus from 'prom-client'`. The engine does not depend on it. */
export interface Prometheus {
  Counter: new (options: any) => Counter
  Gauge: new (options: any) => Gauge
  Histogram: new (options: any) => Histogram
}

/** Where to register metrics: `{ prometheus, registry: prometheus.register }`, or a registry of your own. */
export interface MetricsTarget {
  prometheus: Prometheus
  registry: { registerMetric(metric: any): void }
}

interface Counter {
  inc(labels?: any, value?: number): void
}

export interface Gauge {
  set(...labelsAndValue: any[]): void
  inc(labels?: any): void
  dec(labels?: any): void
  remove(): void
  reset(): void
}

interface Histogram {
  observe(labelsOrValue: any, value?: number): void
}

/** Registers a gauge whose value is read at each scrape. */
export function watchGauge(
  { prometheus, registry }: MetricsTarget,
  options: { name: string; help: string; labelNames?: readonly string[] },
  collect: (gauge: Gauge) => void | Promise<void>,
): void {
  const gauge: Gauge = new prometheus.Gauge({
    ...options,
    registers: [],
    collect: () => collect(gauge),
  })
  registry.registerMetric(gauge)
}
