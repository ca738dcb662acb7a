import { countPings, watchQueue, watchWorker } from '@roundsman/engine/metrics'
import { getQueueStats, type JobsReader } from '@roundsman/engine/client'
import type { PingerOptions, Worker } from '@roundsman/engine/worker'
import { Counter, createMetrics, type Metrics, type Registry } from '@roundsman/node-app/telemetry'
import type { Mailer, SendOutcome } from '../email/createMailer.ts'

export interface WorkerMetrics extends Metrics {
  /** The pinger calls it with the outcome of each ping. */
  countPing: NonNullable<PingerOptions['onOutcome']>
  /** Exports a worker's readiness and its connections. */
  watchWorker(worker: Pick<Worker, 'connections' | 'isReady'>): void
  /** Exports how much work of these jobs is in the queue. */
  watchQueue(reader: JobsReader, names: readonly string[]): void
}

/** The metrics of the worker's process; docs/observability.md says what each is good for. */
export function createWorkerMetrics(version: string): WorkerMetrics {
  const metrics = createMetrics({ app: 'worker', version })
  let isReady = () => false
  watchWorker(metrics, { isReady: () => isReady() })
  return {
    ...metrics,
    countPing: countPings(metrics),
    watchWorker(worker) {
      isReady = worker.isReady
      metrics.watchPool('engine', worker.connections)
    },
    watchQueue(reader, names) {
      const { prometheus, registry } = metrics
      watchQueue({ prometheus, registry, measure: () => getQueueStats(reader, names) })
    },
  }
}

/** Wraps a mailer to count what became of its messages. */
export function withEmailCounts(mailer: Mailer, registry: Registry): Mailer {
  const emails = new Counter({
    name: 'roundsman_emails_total',
    help: 'Attempts to hand a message to the mail server, by its answer.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  for (const outcome of ['sent', 'refused', 'unavailable'] satisfies SendOutcome['kind'][]) {
    emails.inc({ outcome }, 0)
  }
  return {
    async send(...args) {
      const outcome = await mailer.send(...args)
      emails.inc({ outcome: outcome.kind })
      return outcome
    },
    close: () => mailer.close(),
  }
}
