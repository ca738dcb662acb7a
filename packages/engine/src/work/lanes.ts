import type { Job } from '../job/defineJob.ts'
import type { TakenWork } from '../store/claimWork.ts'
import { createLane, type Lane, type LaneOptions } from './lane.ts'
import { createPayloadBudget } from './payloadBudget.ts'

/** The lanes of a worker, one for each job whose work it takes. */
export interface Lanes {
  start(): void
  has(name: string): boolean
  /** There may be work of this job. Does nothing when the worker takes none of it. */
  wake(name: string): void
  wakeAll(): void
  /** They take nothing more. Resolves once the runs of the claims under way have begun. */
  stop(): Promise<unknown>
  /** How many runs have not ended. */
  running(): number
  /** Resolves once no run is under way. */
  idle(): Promise<unknown>
}

export function createLanes(
  options: Pick<LaneOptions, 'claimer' | 'log' | 'observers'> & {
    jobs: readonly Job[]
    /** How many runs of a job that is not exclusive go on at once. */
    countLanes: (job: Job) => number
    turns: NonNullable<LaneOptions['turns']>
    /** Carries a run to its end. */
    execute: (job: Job, work: TakenWork) => Promise<unknown>
  },
): Lanes {
  const { claimer, log, observers, countLanes, turns, execute } = options
  const lanes = new Map<string, Lane>()
  const budget = createPayloadBudget()
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
      execute: (work) => execute(job, work),
    })
    lanes.set(job.name, lane)
  }
  const all = [...lanes.values()]
  return {
    start: () => all.forEach((lane) => lane.start()),
    has: (name) => lanes.has(name),
    wake: (name) => lanes.get(name)?.wake(),
    wakeAll: () => all.forEach((lane) => lane.wake()),
    stop: () => Promise.all(all.map((lane) => lane.stop())),
    running: () => all.reduce((sum, lane) => sum + lane.running(), 0),
    idle: () => Promise.all(all.map((lane) => lane.idle())),
  }
}
