import type { Job } from '../job/defineJob.ts'
import type { Taken } from '../queue/taken.ts'
import { createLane, type Lane, type LaneOptions } from './lane.ts'
import { createPayloadBudget } from './payloadBudget.ts'
import { createSuspectLane } from './suspectLane.ts'
import type { Claimer } from './claimer.ts'
import type { Turns } from './turns.ts'

/** Makes the lanes of a worker, one for each job whose work it takes. */
export function createLanes(
  options: Pick<LaneOptions, 'log' | 'observers'> & {
    claimer: Claimer
    jobs: readonly Job[]
    /** How many runs of a job that is not exclusive go on at once. */
    countLanes: (job: Job) => number
    turns: Turns
    /** Returns the function that carries runs of the job to their ends, beside others or alone in the process. */
    performOf: (job: Job, isAlone: boolean) => (taken: Taken) => Promise<unknown>
  },
) {
  const { claimer, log, observers, countLanes, turns } = options
  const lanes = new Map<string, Lane>()
  const budget = createPayloadBudget()

  /** After a run under limits, lanes of the same limits may have room. */
  function withLimits(job: Job, isAlone: boolean): (taken: Taken) => Promise<unknown> {
    const perform = options.performOf(job, isAlone)
    return (taken) => {
      if (!claimer.isLimited(job)) return perform(taken)
      const { key } = taken
      return perform(taken).finally(() => {
        for (const name of claimer.ended(job, { key })) lanes.get(name)?.limitMayHaveRoom()
      })
    }
  }

  for (const job of options.jobs) {
    const lane = createLane({
      job,
      concurrency: countLanes(job),
      claimer,
      log,
      observers,
      // Isolated runs go on in other processes, also while a suspect runs alone in this one.
      turns: job.isolate === null ? turns : undefined,
      budget,
      perform: withLimits(job, false),
    })
    lanes.set(job.name, lane)
  }
  const suspects = createSuspectLane({
    claimer,
    turns,
    log,
    observers,
    perform: (job, taken) => withLimits(job, job.isolate === null)(taken),
  })
  const jobOf = new Map(options.jobs.map((job) => [job.name, job]))
  const own = [...lanes.values()]
  const all = [...own, suspects]
  return {
    start: () => own.forEach((lane) => lane.start()),
    has: (name: string) => lanes.has(name),
    /** There may be work of this job, which is new by default. Returns whether this worker is about to take it. */
    wake: (name: string, isNews?: boolean) => lanes.get(name)?.wake(isNews) ?? false,
    wakeAll: () => own.forEach((lane) => lane.wake()),
    /** There is work of this job that is to run alone. */
    wakeSuspect(name: string) {
      const job = jobOf.get(name)
      if (job !== undefined) suspects.wake(job)
    },
    /** They take nothing more. Resolves once the runs of the claims under way have begun. */
    stop: () => Promise.all(all.map((lane) => lane.stop())),
    /** How many runs have not ended. */
    running: () => all.reduce((sum, lane) => sum + lane.running(), 0),
    /** Resolves once no run is under way. */
    idle: () => Promise.all(all.map((lane) => lane.idle())),
  }
}
