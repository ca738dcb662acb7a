import { isScheduled, nextTick, type Job } from '@roundsman/engine'
import type { WorkerEnvironment } from './env.ts'

/** When each scheduled job is due next; none while jobs are disabled. */
export function nextRuns(
  env: Pick<WorkerEnvironment, 'jobs' | 'JOBS_ENABLED'>,
  now: Date,
): { name: string; nextRun: Date | null }[] {
  return (env.jobs as readonly Job[]).filter(isScheduled).map(({ name, schedule }) => ({
    name,
    nextRun: env.JOBS_ENABLED ? nextTick(schedule, now) : null,
  }))
}
