import { countPings, watchQueue, watchWorker } from '@roundsman/engine/metrics'
import {
  measureQueue,
  type PingerOptions,
  type Reader,
  type Worker,
} from '@roundsman/engine/worker'
import { Counter, createMetrics, type Metrics, type Registry } from '@roundsman/node-app/telemetry'
import type { Mailer, SendOutcome } from '../email/createMailer.ts'

export interface WorkerMetrics extends Metrics {
  /** Called with the outcome of each ping. */
  countPing: NonNullable<PingerOptions['onOutcome']>
  /** What there is to know of a worker that is open, beside what it does. */
  watchWorker(worker: Pick<Worker, 'connections' | 'isReady'>): void
  /** How much work there is of these jobs. */
  watchQueue(reader: Reader, names: readonly string[]): void
}

/** The metrics of the worker process; see docs/observability.md for what each is good for. */
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
      watchQueue({ ...metrics, measure: () => measureQueue(reader, names) })
    },
  }
}

/** The same mailer, which counts what became of the messages. */
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
