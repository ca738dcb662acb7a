import type { Job } from '../src/index.ts'
import type { Taken } from '../src/queue/taken.ts'
import type { Database } from '../src/database/database.ts'
import { createClaimer } from '../src/work/claimer.ts'
import { createLane, type Lane } from '../src/work/lane.ts'
import type { Limits } from '../src/work/limits.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** Lanes of one worker, each for two runs at once, which end as soon as they begin. Nothing wakes them. */
export function startTestLanes(
  { log }: TestRuntime,
  jobs: readonly Job[],
  database: Database,
  onExecute: (taken: Taken) => void,
  limits?: Limits,
): Lane[] {
  const claimer = createClaimer({
    database,
    workerId: 'w1',
    now: () => new Date(),
    ...(limits && { limits }),
  })
  const lanes = jobs.map((job) =>
    createLane({
      job,
      concurrency: 2,
      claimer,
      log,
      perform: async (taken) => onExecute(taken),
    }),
  )
  for (const lane of lanes) lane.start()
  return lanes
}
