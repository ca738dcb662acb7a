import { checkRunMetrics } from '../arguments/watches.ts'
import { TICK_OUTCOMES } from '../tick/decideTicks.ts'
import type { WorkerObserver } from '../run/observer.ts'
import type { MetricsTarget } from './prometheus.ts'

/** The engine's own error codes. Handlers' codes are an open set, so they all count as `handler`. */
const ENGINE_REASONS = [
  'timeout',
  'cancelled',
  'drained',
  'rate_limited',
  'guard_blocked',
  'dry_run_refused',
  'payload_invalid',
  'payload_missing',
  'worker_lost',
  'expired',
  'details_too_large',
  'result_invalid',
  'result_too_large',
  'result_unstorable',
  'details_unstorable',
  'counts_invalid',
  'handler_crashed',
  'handlers_module_failed',
  'handler_missing',
]

/** Seconds, from a mail that is sent at once to a clean-up that takes an hour. */
const DURATION_BUCKETS = [
  0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600,
]
const LATENESS_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 3_600]
const GROUP_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500]

/** Makes an observer that counts what its worker does. All labels (job, outcome, reason) are closed sets. */
export function createRunMetrics(
  target: MetricsTarget,
  jobNames: readonly string[],
): WorkerObserver {
  const { prometheus, registry, jobNames: names } = checkRunMetrics(target, jobNames)
  const { Counter, Gauge, Histogram } = prometheus
  const registers = [registry]
  const runs = new Counter({
    name: 'roundsman_job_runs_total',
    help: 'Runs that ended, each counted once, by the worker that ended it.',
    labelNames: ['job_name', 'outcome', 'reason'],
    registers,
  })
  const durations = new Histogram({
    name: 'roundsman_job_run_duration_seconds',
    help: 'How long handlers took, from the start of the run.',
    labelNames: ['job_name', 'outcome'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  const running = new Gauge({
    name: 'roundsman_job_runs_running',
    help: 'Runs that this worker executes at this moment.',
    labelNames: ['job_name'],
    registers,
  })
  const lost = new Counter({
    name: 'roundsman_job_runs_lost_total',
    help: 'Runs that this worker executed to the end although another worker had ended them before.',
    labelNames: ['job_name'],
    registers,
  })
  const rescued = new Counter({
    name: 'roundsman_job_runs_rescued_total',
    help: 'Runs of dead workers that this worker has ended and whose work it gave back to the queue.',
    labelNames: ['job_name'],
    registers,
  })
  const ticks = new Counter({
    name: 'roundsman_ticks_total',
    help: 'Ticks that this worker has decided, by outcome.',
    labelNames: ['job_name', 'outcome'],
    registers,
  })
  const lateness = new Histogram({
    name: 'roundsman_tick_lateness_seconds',
    help: 'From the instant of a tick to its decision; of several due at once, the latest counts.',
    labelNames: ['job_name'],
    buckets: LATENESS_BUCKETS,
    registers,
  })
  const claims = new Histogram({
    name: 'roundsman_claim_size',
    help: 'How much work of a job was taken from the queue with one claim.',
    buckets: GROUP_BUCKETS,
    registers,
  })
  const settlements = new Histogram({
    name: 'roundsman_settle_size',
    help: 'How many runs were ended with one transaction.',
    buckets: GROUP_BUCKETS,
    registers,
  })

  // Create all series at 0: a query for an increase misses the first one of a new series.
  for (const job_name of names) {
    runs.inc({ job_name, outcome: 'success', reason: '' }, 0)
    for (const reason of [...ENGINE_REASONS, 'handler']) {
      runs.inc({ job_name, outcome: 'failed', reason }, 0)
    }
    for (const outcome of TICK_OUTCOMES) ticks.inc({ job_name, outcome }, 0)
    lost.inc({ job_name }, 0)
    rescued.inc({ job_name }, 0)
  }

  return {
    runStarted({ name: job_name }) {
      running.inc({ job_name })
      return {
        ended(end) {
          running.dec({ job_name })
          if (end.kind === 'suspended') return
          if (end.kind === 'lost') return lost.inc({ job_name })
          const outcome = end.kind
          const reason = end.kind === 'success' ? '' : reasonOf(end.code)
          runs.inc({ job_name, outcome, reason })
          durations.observe({ job_name, outcome }, end.durationMs / 1_000)
        },
      }
    },
    runRescued({ name: job_name }) {
      rescued.inc({ job_name })
      runs.inc({ job_name, outcome: 'failed', reason: 'worker_lost' })
    },
    runExpired({ name: job_name }) {
      runs.inc({ job_name, outcome: 'failed', reason: 'expired' })
    },
    ticksDecided(job_name, decided, decidedAt) {
      for (const { outcome, count } of decided) ticks.inc({ job_name, outcome }, count)
      const latest = decided.at(-1)?.scheduledFor
      if (latest) lateness.observe({ job_name }, (decidedAt.getTime() - latest.getTime()) / 1_000)
    },
    workClaimed: (_job, count) => claims.observe(count),
    runsSettled: (count) => settlements.observe(count),
  }
}

function reasonOf(code: string): string {
  return ENGINE_REASONS.includes(code) ? code : 'handler'
}
