import type { JobProblem } from '../read/getJobHealth.ts'
import type { Problem } from '../read/listProblems.ts'
import { checkParts } from '../job/argument.ts'
import { FRESHNESS, keepFresh } from './keepFresh.ts'
import { watchGauge, type MetricsTarget } from './prometheus.ts'

/** What GET /health/jobs answers 503 for. */
const OF_HEALTH: readonly Problem['kind'][] = [
  'noWorker',
  'late',
  'unscheduled',
  'overrunning',
  'orphaned',
] satisfies JobProblem['kind'][]

export interface JobHealthWatchOptions extends MetricsTarget {
  /** `() => listProblems(reader, jobs, new Date())` */
  read: () => Promise<{ problems: readonly Problem[] }>
  /** However often somebody scrapes, the database is asked no more often than this. Default 5,000 ms. */
  maxAgeMs?: number
  /** How long a scrape waits for the database. Default 2,000 ms. */
  timeoutMs?: number
}

/** Registers what `listProblems` returns as metrics. While the database does not answer they have no values. */
export function watchJobHealth(options: JobHealthWatchOptions): void {
  const { prometheus, registry, read } = options
  const { maxAgeMs = 5_000, timeoutMs = 2_000 } = checkParts('options', options, FRESHNESS)
  const failures = new prometheus.Counter({
    name: 'roundsman_job_health_failures_total',
    help: 'How often job health could not be read because the database did not answer in time.',
    registers: [registry],
  })
  const readFresh = keepFresh({ read, maxAgeMs, timeoutMs, onFailure: () => failures.inc() })
  watchGauge(
    options,
    {
      name: 'roundsman_jobs_healthy',
      help: '1 while GET /health/jobs would answer 200, else 0.',
    },
    async (gauge) => {
      const fresh = await readFresh()
      gauge.remove()
      if (fresh) gauge.set(fresh.problems.some(({ kind }) => OF_HEALTH.includes(kind)) ? 0 : 1)
    },
  )
  watchGauge(
    options,
    {
      name: 'roundsman_job_problem',
      help: '1 for each kind of problem of a job, by the words and limits of the console.',
      labelNames: ['kind', 'job_name'],
    },
    async (gauge) => {
      const { problems } = (await readFresh()) ?? { problems: [] }
      gauge.reset()
      for (const problem of problems) {
        if (problem.kind === 'recovered') continue
        gauge.set({ kind: problem.kind, job_name: 'name' in problem ? problem.name : '' }, 1)
      }
    },
  )
}
