import * as prometheus from 'prom-client'

/** What a host has to show metrics, without any other metric. */
export function openTarget() {
  const registry = new prometheus.Registry()
  return { target: { prometheus, registry }, render: () => registry.metrics() }
}
