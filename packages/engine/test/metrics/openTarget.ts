import * as prometheus from 'prom-client'

/** What a host has that shows metrics, with nothing else in it. */
export function openTarget() {
  const registry = new prometheus.Registry()
  return { prometheus, registry, render: () => registry.metrics() }
}
