import { defineJob, type Job } from './defineJob.ts'

/**
 * The engine's own job: removes runs, ticks and actions that are older than they are kept. Every worker schedules and
 * runs it, unless `retention: false` turns it off. To have it at another time, put it among the jobs as
 * `reschedule(pruneJobRuns, '0 5 * * *')`.
 */
export const pruneJobRuns = defineJob({
  name: 'pruneJobRuns',
  description: 'Removes runs and ticks that are older than they are kept.',
  schedule: { cron: '30 3 * * *' },
  isDestructive: true,
  // Of runs and ticks together. A thirtieth is due each day, and more only once after a day with very many runs.
  // What they tell is nowhere else, so fewer of them are let go unseen.
  guard: { maxShare: 0.5, minRows: 2_000 },
})

/** A name of the engine's: no job of a product can have it, and none needs a handler for it. */
export type EngineJobName = (typeof pruneJobRuns)['name']

export function isEngineJob({ name }: Pick<Job, 'name'>): boolean {
  return name === pruneJobRuns.name
}

/** A catalogue with the engine's own jobs at its end, where they are not in it: what lists, consoles and health show. */
export function withEngineJobs<const Jobs extends readonly Job[]>(
  jobs: Jobs,
): readonly [...Jobs, typeof pruneJobRuns] {
  const all: readonly Job[] = jobs.some(isEngineJob) ? jobs : [...jobs, pruneJobRuns]
  return all as readonly [...Jobs, typeof pruneJobRuns]
}
