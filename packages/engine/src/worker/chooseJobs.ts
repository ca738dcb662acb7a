import { availableParallelism } from 'node:os'
import { isEngineJob, pruneJobRuns, withEngineJobs } from '../job/engineJobs.ts'
import { expectHandlers } from '../arguments/handlers.ts'
import { expectKnown, refuseHandlerOf } from '../arguments/worker.ts'
import type { Job } from '../job/defineJob.ts'

/**
 * Decides which jobs a worker knows and schedules (`jobs`), and whose work it takes (`taken`): each of those has a lane.
 * `unused` has the names of handlers without a job.
 * @throws ArgumentError when a job has no handler, a handler is of one of the engine's own jobs, `only` or `except` names an
 * unknown job, or `only` names none
 */
export function chooseJobs(options: {
  jobs: readonly Job[]
  handlers: object
  retention: object | false
  except?: readonly string[] | undefined
  only?: readonly string[] | undefined
}) {
  const { retention, except = [], only } = options
  refuseHandlerOf(pruneJobRuns, options.handlers)
  const jobs: readonly Job[] =
    retention === false
      ? options.jobs.filter((job) => !isEngineJob(job))
      : withEngineJobs(options.jobs)
  expectKnown({ only, except }, jobs, pruneJobRuns.name)
  const isTaken = ({ name }: Job) =>
    !except.includes(name) && (only === undefined || only.includes(name))
  const taken = jobs.filter(isTaken)
  // Those of isolated jobs are in another file, and the engine has its own.
  const handled = taken.filter((job) => job.isolate === null && !isEngineJob(job))
  const unused = expectHandlers(options.jobs, handled, options.handlers)
  return { jobs, taken, unused }
}

/** How many runs of a job that is not exclusive a worker carries out at once. */
export function countLanes(job: Job, concurrency: number): number {
  if (job.concurrency !== null) return job.concurrency
  return job.isolate === null ? concurrency : Math.min(concurrency, availableParallelism())
}
