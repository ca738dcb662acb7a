import type { Job } from '@roundsman/engine'
import { getJobHealth, type JobHealth, type JobsReader } from '@roundsman/engine/client'
import { demoJobNames } from '@roundsman/jobs/demo'

/**
 * What is wrong with the jobs, for monitors. What the demo's jobs have left behind is theirs to keep, where DEMO_JOBS=false
 * leaves the jobs out.
 */
export async function readHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  const { problems, paused } = await getJobHealth(reader, jobs, now)
  const isOfDemo = ({ kind, ...of }: JobHealth['problems'][number]) =>
    kind === 'orphaned' && 'name' in of && demoJobNames.includes(of.name)
  return { problems: problems.filter((problem) => !isOfDemo(problem)), paused }
}
