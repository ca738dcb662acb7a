import { checkHealthWatch } from '../arguments/watches.ts'
import type { Problem } from '../judge/problem.ts'
import { keepFresh, type FreshnessOptions } from './keepFresh.ts'
import { watchGauge } from './prometheus.ts'

export interface JobHealthWatchOptions extends FreshnessOptions {
  /** `() => listProblems(reader, jobs, new Date())` */
  read: () => Promise<{ problems: readonly Problem[] }>
}

/** Registers what `listProblems` returns as metrics. While the database does not answer they have no values. */
export function watchJobHealth(options: JobHealthWatchOptions): void {
  const checked = checkHealthWatch(options)
  const { prometheus, registry, read } = checked
  const failures = new prometheus.Counter({
    name: 'roundsman_job_health_failures_total',
    help: 'How often job health could not be read because the database did not answer in time.',
    registers: [registry],
  })
  const readFresh = keepFresh(checked, read, () => failures.inc())
  watchGauge(
    checked,
    {
      name: 'roundsman_jobs_healthy',
      help: '1 while GET /health/jobs would answer 200, else 0.',
    },
    async (gauge) => {
      const fresh = await readFresh()
      gauge.remove()
      if (fresh) gauge.set(fresh.problems.some(({ isUnhealthy }) => isUnhealthy) ? 0 : 1)
    },
  )
  watchGauge(
    checked,
    {
      name: 'roundsman_job_problem',
      help: '1 for each kind of problem of a job, by the words and limits of the console, without what is over.',
      labelNames: ['kind', 'job_name'],
    },
    async (gauge) => {
      const { problems } = (await readFresh()) ?? { problems: [] }
      gauge.reset()
      for (const { kind, stage, jobs } of problems) {
        if (stage === 'over') continue
        for (const job_name of jobs.length === 0 ? [''] : jobs) gauge.set({ kind, job_name }, 1)
      }
    },
  )
}
