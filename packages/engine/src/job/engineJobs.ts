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
  // A thirtieth of the runs and ticks is due on a usual day. A larger share of these only records needs an approval.
  guard: { maxShare: 0.5, minRows: 2_000 },
})

/** The names of the engine's own jobs. A product cannot use them, and gives no handlers for them. */
export type EngineJobName = (typeof pruneJobRuns)['name']

/** Whether it is one of the engine's own jobs, which `withEngineJobs` adds. */
export function isEngineJob(job: Pick<Job, 'name'>): boolean {
  return checkJobName('job', job) === pruneJobRuns.name
}

/** Adds the engine's own jobs to a catalogue that lacks them, for lists, the console and health reports. */
export function withEngineJobs<const Jobs extends readonly Job[]>(
  jobs: Jobs,
): readonly [...Jobs, typeof pruneJobRuns] {
  const given = checkJobs('jobs', jobs)
  const all: readonly Job[] = given.some(isEngineJob) ? given : [...given, pruneJobRuns]
  return all as readonly [...Jobs, typeof pruneJobRuns]
}
