import { checkHealthWatch } from '../arguments/watches.ts'
import type { JobProblem } from '../read/getJobHealth.ts'
import type { Problem } from '../read/listProblems.ts'
import { keepFresh, type FreshnessOptions } from './keepFresh.ts'
import { watchGauge } from './prometheus.ts'

/** What GET /health/jobs answers 503 for. */
const OF_HEALTH: readonly Problem['kind'][] = [
  'noWorker',
  'late',
  'unscheduled',
  'overrunning',
  'orphaned',
] satisfies JobProblem['kind'][]

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
      if (fresh) gauge.set(fresh.problems.some(({ kind }) => OF_HEALTH.includes(kind)) ? 0 : 1)
    },
  )
  watchGauge(
    checked,
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
