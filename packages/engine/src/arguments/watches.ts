import type { FreshnessOptions } from '../metrics/keepFresh.ts'
import type { MetricsTarget } from '../metrics/prometheus.ts'
import type { JobHealthWatchOptions } from '../metrics/watchJobHealth.ts'
import type { OldestSnapshotWatchOptions } from '../metrics/watchOldestSnapshot.ts'
import type { QueueWatchOptions } from '../metrics/watchQueue.ts'
import type { JobProblem } from '../read/getJobHealth.ts'
import {
  ArgumentError,
  checkFunction,
  checkOptions,
  checkParts,
  checkText,
  checkTexts,
  checkTimerMs,
  checkWaitMs,
  nullable,
  oneOf,
  optional,
  tell,
  wholeNumber,
  type Check,
} from './argument.ts'

/*
 * What watches jobs from outside.
 */

const PROMETHEUS = { Counter: checkFunction, Gauge: checkFunction, Histogram: checkFunction }
/** As they are: another package made them. */
const checkPrometheus: Check<MetricsTarget['prometheus']> = (argument, value) => {
  try {
    checkParts(argument, value, PROMETHEUS)
  } catch (cause) {
    throw new ArgumentError(
      argument,
      `must be prom-client: import * as prometheus from 'prom-client', not ${tell(value)}`,
      { cause },
    )
  }
  return value as MetricsTarget['prometheus']
}

const REGISTRY = { registerMetric: checkFunction }
const checkRegistry: Check<MetricsTarget['registry']> = (argument, value) => {
  try {
    checkParts(argument, value, REGISTRY)
  } catch (cause) {
    throw new ArgumentError(
      argument,
      `must be a registry of prom-client, such as prometheus.register, not ${tell(value)}`,
      { cause },
    )
  }
  return value as MetricsTarget['registry']
}

const TARGET = {
  prometheus: checkPrometheus,
  registry: checkRegistry,
} satisfies Record<keyof MetricsTarget, unknown>
const FRESH = {
  ...TARGET,
  maxAgeMs: optional(checkWaitMs),
  timeoutMs: optional(checkTimerMs),
} satisfies Record<keyof FreshnessOptions, unknown>

/** A host's own metrics may be a target: it has these two parts, and more. */
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

/** What a sentence about a problem of the health tells of it. */
const PROBLEM = {
  kind: oneOf<JobProblem['kind']>(['noWorker', 'late', 'unscheduled', 'overrunning', 'orphaned']),
  name: optional(checkText),
  since: optional(nullable(checkText)),
  lastRunAt: optional(nullable(checkText)),
  waiting: optional(wholeNumber(0, Number.MAX_SAFE_INTEGER)),
}

export function checkProblem(problem: unknown) {
  return checkParts('problem', problem, PROBLEM, 'problem.')
}
