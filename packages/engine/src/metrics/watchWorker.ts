import { checkTarget, checkWorkerWatch } from '../arguments/watches.ts'
import type { PingEvent, PingOutcome } from '../run/createPinger.ts'
import { watchGauge, type MetricsTarget } from './prometheus.ts'

/** Registers a gauge of whether the worker is ready. */
export function watchWorker(target: MetricsTarget, worker: { isReady(): boolean }): void {
  watchGauge(
    checkWorkerWatch(target, worker),
    {
      name: 'roundsman_worker_ready',
      help: '1 while this worker holds the connection that shows the others that it is alive, else 0.',
    },
    (gauge) => gauge.set(worker.isReady() ? 1 : 0),
  )
}

/** Counts pings by job, event and outcome: pass it as `onOutcome` of a pinger. */
export function countPings(
  target: MetricsTarget,
): (name: string, event: PingEvent, outcome: PingOutcome) => void {
  const { prometheus, registry } = checkTarget(target)
  const pings = new prometheus.Counter({
    name: 'roundsman_pings_total',
    help: 'Pings to monitors, by outcome.',
    labelNames: ['job_name', 'event', 'outcome'],
    registers: [registry],
  })
  return (job_name, event, outcome) => pings.inc({ job_name, event, outcome })
}
