import { z } from 'zod'
import { defineJob, isScheduled, type Job } from '@roundsman/engine'

const numbered = z.object({ number: z.number().int(), texts: z.array(z.string()).optional() })
const retry = { limit: 0 }

/** Carries out drawn outcomes, many at once. */
export const guilty = defineJob({
  name: 'guilty',
  description: 'Ends in whatever way was drawn',
  payload: numbered,
  concurrency: 50,
  timeoutMs: 10_000,
  retry,
})

export const guiltyAgain = defineJob({
  name: 'guiltyAgain',
  description: 'Ends in whatever way was drawn, three times at most',
  payload: numbered,
  concurrency: 20,
  timeoutMs: 10_000,
  retry: { limit: 2, delayMs: 1_000, maxDelayMs: 1_000 },
})

/** For outcomes that take long, with a short time-out. */
export const guiltyHasty = defineJob({
  name: 'guiltyHasty',
  description: 'Ends in whatever way was drawn, or is aborted',
  payload: numbered,
  concurrency: 200,
  timeoutMs: 300,
  retry,
})

export const guiltyTick = defineJob({
  name: 'guiltyTick',
  description: 'Ends in whatever way was drawn, every second, one after the other',
  schedule: { cron: '* * * * * *', overlap: 'skip' },
  timeoutMs: 2_000,
  retry,
})

/** Ends its process. */
export const deadly = defineJob({
  name: 'deadly',
  description: 'Takes its worker with it',
  payload: numbered,
  concurrency: 1,
  timeoutMs: 3_000,
  retry,
})

/** The job for which drawn outcomes enqueue. */
export const sink = defineJob({
  name: 'sink',
  description: 'Takes what it is given',
  payload: z.object({ text: z.string().max(1_000) }),
  concurrency: 20,
  timeoutMs: 10_000,
  retry,
})

const patient = { limit: 2, delayMs: 1_000, maxDelayMs: 1_000 }

export const innocent = defineJob({
  name: 'innocent',
  description: 'Leaves one row behind',
  payload: numbered,
  concurrency: 20,
  timeoutMs: 10_000,
  retry: patient,
})

/** Long enough that others take its worker away from it. */
export const innocentLong = defineJob({
  name: 'innocentLong',
  description: 'Leaves eight rows behind, one after the other',
  payload: numbered,
  concurrency: 20,
  timeoutMs: 10_000,
  retry: patient,
})

const innocentTick = defineJob({
  name: 'innocentTick',
  description: 'Leaves one row behind, every second',
  schedule: { cron: '* * * * * *', overlap: 'allow', missed: 'all' },
  timeoutMs: 10_000,
  retry: patient,
})

export const hostileJobs = [
  guilty,
  guiltyAgain,
  guiltyHasty,
  guiltyTick,
  deadly,
  sink,
  innocent,
  innocentLong,
  innocentTick,
] as const

export const INNOCENTS: readonly string[] = [innocent, innocentLong, innocentTick].map(
  ({ name }) => name,
)

/** Steps of the long innocent job. */
export const LONG_STEPS = 8

/** How often a piece of work may start before it is given up, not counting what was lost or drained. */
export const attemptsOf = new Map<string, number>(
  (hostileJobs as readonly Job[]).map((job) => [job.name, job.retry.limit + 1]),
)

export const hostileSchedules = (hostileJobs as readonly Job[]).filter(isScheduled)
