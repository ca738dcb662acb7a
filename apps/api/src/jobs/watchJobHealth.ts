import { Counter, Gauge, keepFresh, type Registry } from '@roundsman/node-app/telemetry'
import type { JobHealth } from '@roundsman/engine/client'

export interface JobHealthWatchOptions {
  registry: Registry
  read: () => Promise<JobHealth>
  /** However often somebody scrapes, the database is asked no more often than this. Default 5,000 ms. */
  maxAgeMs?: number
  /** How long a scrape waits for it. Default 2,000 ms. */
  timeoutMs?: number
}

/** What `GET /health/jobs` says, as metrics. While the database does not answer there are none. */
export function watchJobHealth(options: JobHealthWatchOptions): void {
  const { registry, read, maxAgeMs = 5_000, timeoutMs = 2_000 } = options
  const registers = [registry]
  const failures = new Counter({
    name: 'roundsman_job_health_failures_total',
    help: 'How often it could not be told whether jobs are done, because the database did not answer in time.',
    registers,
  })
  const readFresh = keepFresh({ read, maxAgeMs, timeoutMs, onFailure: () => failures.inc() })
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_jobs_healthy',
      help: '1 while GET /health/jobs would answer 200, else 0.',
      registers: [],
      async collect() {
        const health = await readFresh()
        this.remove()
        if (health) this.set(health.problems.length === 0 ? 1 : 0)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'roundsman_job_problem',
      help: '1 for each problem that GET /health/jobs names.',
      labelNames: ['kind', 'job_name'],
      registers: [],
      async collect() {
        const { problems } = (await readFresh()) ?? { problems: [] }
        this.reset()
        for (const problem of problems) {
          this.set({ kind: problem.kind, job_name: 'name' in problem ? problem.name : '' }, 1)
        }
      },
    }),
  )
}
