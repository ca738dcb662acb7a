import type { FreshnessOptions } from '../metrics/keepFresh.ts'
import type { MetricsTarget } from '../metrics/prometheus.ts'
import type { JobHealthWatchOptions } from '../metrics/watchJobHealth.ts'
import type { OldestSnapshotWatchOptions } from '../metrics/watchOldestSnapshot.ts'
import type { QueueWatchOptions } from '../metrics/watchQueue.ts'
import {
  checkFunction,
  checkOptions,
  checkParts,
  checkTexts,
  checkTimerMs,
  checkWaitMs,
  madeElsewhere,
  optional,
} from '../values/argument.ts'

/*
 * Options of metrics.
 */

const PROMETHEUS = { Counter: checkFunction, Gauge: checkFunction, Histogram: checkFunction }
const REGISTRY = { registerMetric: checkFunction }

const TARGET = {
  prometheus: madeElsewhere<MetricsTarget['prometheus']>(
    PROMETHEUS,
    "prom-client: import * as prometheus from 'prom-client'",
  ),
  registry: madeElsewhere<MetricsTarget['registry']>(
    REGISTRY,
    'a registry of prom-client, such as prometheus.register',
  ),
} satisfies Record<keyof MetricsTarget, unknown>
const FRESH = {
  ...TARGET,
  maxAgeMs: optional(checkWaitMs),
  timeoutMs: optional(checkTimerMs),
} satisfies Record<keyof FreshnessOptions, unknown>

/** Checks a `target`, which may have other properties, such as a host's own metrics object. */
export function checkTarget(target: unknown) {
  return checkParts('target', target, TARGET, 'target.')
}

export function checkRunMetrics(target: unknown, jobNames: unknown) {
  return { ...checkTarget(target), jobNames: checkTexts('jobNames', jobNames) }
}

const WORKER = { isReady: checkFunction<() => boolean> }

export function checkWorkerWatch(target: unknown, worker: unknown) {
  checkParts('worker', worker, WORKER, 'worker.')
  return checkTarget(target)
}

const QUEUE = {
  ...FRESH,
  measure: checkFunction<QueueWatchOptions['measure']>,
} satisfies Record<keyof QueueWatchOptions, unknown>

export function checkQueueWatch(options: unknown) {
  return checkOptions('options', options, QUEUE)
}

const HEALTH = {
  ...FRESH,
  read: checkFunction<JobHealthWatchOptions['read']>,
} satisfies Record<keyof JobHealthWatchOptions, unknown>

export function checkHealthWatch(options: unknown) {
  return checkOptions('options', options, HEALTH)
}

const SNAPSHOT = {
  ...FRESH,
  read: checkFunction<OldestSnapshotWatchOptions['read']>,
} satisfies Record<keyof OldestSnapshotWatchOptions, unknown>

export function checkSnapshotWatch(options: unknown) {
  return checkOptions('options', options, SNAPSHOT)
}
