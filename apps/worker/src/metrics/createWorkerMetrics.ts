import { measureQueue, type Reader, type Worker } from '@roundsman/engine/worker'
import {
  Counter,
  createMetrics,
  Gauge,
  watchQueue,
  type Metrics,
  type Registry,
} from '@roundsman/node-app/telemetry'
import type { Mailer, SendOutcome } from '../email/createMailer.ts'
import type { PingEvent, PingOutcome } from '../pings/createPinger.ts'

export interface WorkerMetrics extends Metrics {
  /** Called with the outcome of each ping. */
  countPing(name: string, event: PingEvent, outcome: PingOutcome): void
  /** What there is to know of a worker that is open, beside what it does. */
  watchWorker(worker: Pick<Worker, 'connections' | 'isReady'>): void
  /** How much work there is of these jobs. */
  watchQueue(reader: Reader, names: readonly string[]): void
}

/** The metrics of the worker process; see docs/observability.md for what each is good for. */
export function createWorkerMetrics(version: string): WorkerMetrics {
  const metrics = createMetrics({ app: 'worker', version })
  const { registry } = metrics
  const registers = [registry]
  const pings = new Counter({
    name: 'roundsman_pings_total',
    help: 'Pings to monitors, by what became of them.',
    labelNames: ['job_name', 'event', 'outcome'],
    registers,
  })
  let isReady = () => false
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_worker_ready',
      help: '1 while this worker holds the connection by which the others know that it lives, else 0.',
      registers: [],
      collect() {
        this.set(isReady() ? 1 : 0)
      },
    }),
  )
  return {
    ...metrics,
    countPing: (job_name, event, outcome) => pings.inc({ job_name, event, outcome }),
    watchWorker(worker) {
      isReady = worker.isReady
      metrics.watchPool('engine', worker.connections)
    },
    watchQueue(reader, names) {
      watchQueue({ registry, measure: () => measureQueue(reader, names) })
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
