import { openRetention, type Days } from '../control/pruneJobRuns.ts'
import { isEngineJob } from '../job/engineJobs.ts'
import { JobError } from '../job/jobError.ts'
import { type Handler, findHandler } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import { createIsolation } from '../run/isolated/isolation.ts'
import { performRun, type Execute, type RunServices } from '../run/performRun.ts'
import type { TakenWork } from '../store/claimWork.ts'
import type { ContainedLog } from '../store/containedLog.ts'

/** Carries out the work that the lanes have taken. */
export interface Performer {
  /** `isAlone`: nothing else runs in this process meanwhile. */
  perform(job: Job, work: TakenWork, isAlone: boolean): Promise<unknown>
  /** Ends the child processes of isolated jobs. */
  stop(): Promise<void>
}

/**
 * Makes what carries work out: in this process, in a child process, or alone in this process.
 * @throws ArgumentError when a job is isolated and `handlersModule` is missing or invalid, or `retention` does not fit the jobs
 */
export function createPerformer(options: {
  services: RunServices
  jobs: readonly Job[]
  /** The jobs whose work this worker takes. */
  taken: readonly Job[]
  /** Keyed by the job's name. */
  handlers: object
  handlersModule: URL | string | undefined
  retention: Days | false
  databaseUrl: string
  /** Calls a handler in this process. */
  executeHere: Execute
  log: ContainedLog
}): Performer {
  const { services, jobs, taken, retention, log, databaseUrl, handlersModule } = options
  const { database, workerId } = services
  const { schema } = database
  const isolation = createIsolation({
    handlersModule,
    jobs: taken,
    databaseUrl,
    schema,
    workerId,
    log,
  })
  const ownManner = retention === false ? null : openRetention(retention, jobs, database)
  return {
    // Not async: thousands of runs wait for their ends at once, and the garbage collector copies what each holds meanwhile.
    perform(job, work, isAlone) {
      // The engine's own jobs do not use the host's client.
      const own = isEngineJob(job) ? ownManner : null
      const its = own === null ? services : { ...services, client: own.client }
      return performRun(its, work, {
        job,
        isAlone,
        handler: own?.handler ?? handlerOf(job),
        execute: job.isolate === null ? options.executeHere : isolation.execute,
      })
    },
    stop: isolation.stop,
  }

  /** A host may load its handlers when they are read. Read at the call, so that where that fails the run does, and no other. */
  function handlerOf({ name }: Job): Handler<never, never> {
    return (context) => {
      const handler = findHandler(options.handlers, name)
      if (handler !== undefined) return handler(context)
      throw new JobError('handler_missing', `There is no handler of ${name}`)
    }
  }
}
