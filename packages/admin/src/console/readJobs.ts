import {
  isFailing,
  payloadProblem,
  readFailures,
  listRecentRuns,
  listRecentTicks,
  readPausedQueues,
} from '@roundsman/engine/internal'
import type { Job } from '@roundsman/engine'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleJob } from '../contract.ts'
import { describeSchedules } from './describeSchedules.ts'
import { presentPause } from './readQueue.ts'

const STRIP = 60

/** The given jobs with the data of their rows, in their order. The answer's schema removes all other properties. */
export async function readJobs(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<ConsoleJob[]> {
  const names = jobs.map(({ name }) => name)
  const [schedules, ticks, ended, last, failures, pauses] = await Promise.all([
    describeSchedules(reader, jobs, now),
    listRecentTicks(reader, names, STRIP),
    listRecentRuns(reader, names, { limit: STRIP, areEnded: true }),
    listRecentRuns(reader, names, { limit: 1 }),
    readFailures(reader, jobs, now),
    readPausedQueues(reader),
  ])
  const failuresOf = new Map(failures.map((one) => [one.name, one]))
  const ticksOf = Map.groupBy(ticks, ({ name }) => name)
  const endedOf = Map.groupBy(ended, ({ name }) => name)
  const lastOf = new Map(last.map((row) => [row.name, row]))
  return jobs.map((job, index) => {
    const lastHour = failuresOf.get(job.name) ?? null
    return {
      ...job,
      schedule: schedules[index]?.schedule ?? null,
      paused: schedules[index]?.paused ?? null,
      queuePaused: presentPause(pauses.get(job.name)),
      guard: job.guard
        ? {
            maxRows: job.guard.maxRows ?? null,
            maxShare: job.guard.maxShare ?? null,
            minRows: job.guard.minRows ?? null,
          }
        : null,
      keyOrder: job.partition?.order ?? null,
      limits: job.limits.map((limit) => limit.name),
      rateLimit: job.rateLimit && { by: 'job' as const, ...job.rateLimit },
      lastRun: lastOf.get(job.name) ?? null,
      ticks: (ticksOf.get(job.name) ?? []).toReversed(),
      recentRuns: (endedOf.get(job.name) ?? []).toReversed().map((run) => ({
        ...run,
        durationMs: Date.parse(run.endedAt ?? run.startedAt) - Date.parse(run.startedAt),
      })),
      takesPayload: payloadProblem(job, {}) !== null,
      failures: lastHour,
      isFailing: lastHour !== null && isFailing(lastHour),
    }
  })
}
