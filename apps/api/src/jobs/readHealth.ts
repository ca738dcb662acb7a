import type { Job } from '@roundsman/engine'
import { getJobHealth, type JobsReader } from '@roundsman/engine/client'
import { demoJobNames } from '@roundsman/jobs/demo'

/** What keeps jobs from being done, as anybody may know it. */
export interface UnhealthyJob {
  kind: 'database' | 'noWorker' | 'silent' | 'late'
  /** Empty: all jobs. */
  jobs: string[]
  since: string | null
}

/** What keeps the jobs from being done, for monitors. */
export async function readHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<{ problems: UnhealthyJob[]; paused: string[]; pausedQueues: string[] }> {
  const { problems, paused, pausedQueues } = await getJobHealth(reader, jobs, now)
  return {
    problems: withoutDemo(problems, jobs).map(({ kind, jobs: names, since }) => ({
      ...{ kind: kind as UnhealthyJob['kind'], jobs: [...names], since },
    })),
    paused,
    pausedQueues: withoutDemo(
      pausedQueues.map((name) => ({ name, jobs: [name] })),
      jobs,
    ).map(({ name }) => name),
  }
}

/** What the demo's jobs have left behind is theirs to keep, where DEMO_JOBS=false leaves the jobs out. */
export function withoutDemo<One extends { jobs: readonly string[] }>(
  problems: readonly One[],
  jobs: readonly Job[],
): One[] {
  const left = demoJobNames.filter((name) => !jobs.some((job) => job.name === name))
  const isLeft = (name: string) => (left as readonly string[]).includes(name)
  return problems.filter((one) => one.jobs.length === 0 || !one.jobs.every(isLeft))
}
