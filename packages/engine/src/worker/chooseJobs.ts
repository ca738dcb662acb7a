import { availableParallelism } from 'node:os'
import { isEngineJob, pruneJobRuns, withEngineJobs } from '../job/engineJobs.ts'
import { nearest } from '../job/nearest.ts'
import type { Job } from '../job/defineJob.ts'
import { ArgumentError } from '../job/argument.ts'
import { storableText } from '../job/storableText.ts'
import { expectHandlers } from './expectHandlers.ts'

/**
 * Decides which jobs a worker knows and schedules (`jobs`), and whose work it takes (`taken`): each of those has a lane.
 * @throws ArgumentError when there is a handler for one of the engine's own jobs, `only` names an unknown job, a job is listed
 * twice or has no handler, or a handler has no job
 */
export function chooseJobs(options: {
  jobs: readonly Job[]
  handlers: object
  retention: object | false
  except?: readonly string[] | undefined
  only?: readonly string[] | undefined
}) {
  const { retention, except = [], only } = options
  refuseHandlerOfEngineJob(options.handlers)
  const jobs: readonly Job[] =
    retention === false
      ? options.jobs.filter((job) => !isEngineJob(job))
      : withEngineJobs(options.jobs)
  checkOnly(only, jobs)
  const isTaken = ({ name }: Job) =>
    !except.includes(name) && (only === undefined || only.includes(name))
  const taken = jobs.filter(isTaken)
  // Those of isolated jobs are in another file.
  const own = taken.filter(({ isolate }) => isolate === null)
  expectHandlers(options.jobs, own, options.handlers)
  return { jobs, taken }
}

/** How many runs of a job that is not exclusive a worker carries out at once. */
export function countLanes(job: Job, concurrency: number): number {
  if (job.concurrency !== null) return job.concurrency
  return job.isolate === null ? concurrency : Math.min(concurrency, availableParallelism())
}

function refuseHandlerOfEngineJob(handlers: object): void {
  if (!(pruneJobRuns.name in handlers)) return
  throw new ArgumentError(
    `handlers.${pruneJobRuns.name}`,
    "is a handler of the engine's own job; take it out, and set retention instead",
  )
}

function checkOnly(only: readonly string[] | undefined, jobs: readonly Job[]): void {
  if (only === undefined) return
  if (only.length === 0)
    throw new ArgumentError(
      'only',
      'names no job, and the worker would do nothing; name one, or leave it out',
    )
  const names = jobs.map(({ name }) => name)
  const unknown = only.find((name) => !names.includes(name))
  if (unknown === undefined) return
  const meant = nearest(unknown, names)
  const remedy = meant === null ? `; there are ${names.join(', ')}` : `: did you mean ${meant}?`
  throw new ArgumentError(
    'only',
    `names ${storableText(JSON.stringify(unknown), 120)}, which is no job of this worker${remedy}`,
  )
}
