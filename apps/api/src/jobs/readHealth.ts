import type { Job } from '@roundsman/engine'
import { getJobHealth, type JobHealth, type JobsReader } from '@roundsman/engine/client'
import { demoJobNames } from '@roundsman/jobs/demo'

/** What keeps the jobs from being done, for monitors. */
export async function readHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  const { problems, paused, pausedQueues } = await getJobHealth(reader, jobs, now)
  const queues = pausedQueues.map((name) => ({ name }))
  return {
    problems: withoutDemo(problems, jobs),
    paused,
    pausedQueues: withoutDemo(queues, jobs).map(({ name }) => name),
  }
}

/** What the demo's jobs have left behind is theirs to keep, where DEMO_JOBS=false leaves the jobs out. */
export function withoutDemo<One extends object>(
  problems: readonly One[],
  jobs: readonly Job[],
): One[] {
  const left = demoJobNames.filter((name) => !jobs.some((job) => job.name === name))
  return problems.filter((one) => !('name' in one && left.includes(String(one.name))))
}
