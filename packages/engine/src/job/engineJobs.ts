import { checkJobName } from '../values/argument.ts'
import { checkJobs } from '../arguments/jobs.ts'
import { defineJob, type Job } from './defineJob.ts'

/**
 * The engine's own job: it removes runs, ticks and actions past their retention. Every worker schedules and runs it,
 * unless `retention: false` turns it off. To run it at another time, add `reschedule(pruneJobRuns, '0 5 * * *')` to the
 * jobs.
 */
export const pruneJobRuns = defineJob({
  name: 'pruneJobRuns',
  description: 'Removes runs and ticks that are older than they are kept.',
  schedule: { cron: '30 3 * * *' },
  isDestructive: true,
  dryRun: true,
  // The share of runs and ticks together: a thirtieth is due on a usual day. They are the only record, so a larger share
  // waits for somebody to approve it.
  guard: { maxShare: 0.5, minRows: 2_000 },
})

/** The names of the engine's own jobs: a product gives no other job such a name, and no handler for it. */
export type EngineJobName = (typeof pruneJobRuns)['name']

/** Whether it is a job of the engine's own, which `withEngineJobs` adds. */
export function isEngineJob(job: Pick<Job, 'name'>): boolean {
  return checkJobName('job', job) === pruneJobRuns.name
}

/** Adds the engine's own jobs to a catalogue that lacks them, as lists, the console and health reports show it. */
export function withEngineJobs<const Jobs extends readonly Job[]>(
  jobs: Jobs,
): readonly [...Jobs, typeof pruneJobRuns] {
  const given = checkJobs('jobs', jobs)
  const all: readonly Job[] = given.some(isEngineJob) ? given : [...given, pruneJobRuns]
  return all as readonly [...Jobs, typeof pruneJobRuns]
}
