import { z } from 'zod'
import { defineJob, isScheduled, type Job } from '@roundsman/engine'

const common = {
  payload: z.object({ number: z.number().int(), texts: z.array(z.string()).optional() }),
  concurrency: 20,
  timeoutMs: 10_000,
  dryRun: true,
}
const once = { limit: 0 }
const thrice = { limit: 2, delayMs: 1_000, maxDelayMs: 1_000 }

/** Ends in whatever way was drawn, many at once. */
export const guilty = defineJob({ ...common, name: 'guilty', concurrency: 50, retry: once })
/** As guilty, three times at most. */
export const guiltyAgain = defineJob({ ...common, name: 'guiltyAgain', retry: thrice })
/** For outcomes that take long, with a short time-out. */
export const guiltyHasty = defineJob({
  ...{ ...common, concurrency: 200, timeoutMs: 300 },
  name: 'guiltyHasty',
  retry: once,
})
export const guiltyTick = defineJob({
  name: 'guiltyTick',
  schedule: { cron: '* * * * * *', overlap: 'skip' },
  timeoutMs: 2_000,
  retry: once,
})
/** Ends its process. */
export const deadly = defineJob({
  ...{ ...common, concurrency: 1, timeoutMs: 3_000 },
  name: 'deadly',
  retry: once,
})
/** The job for which drawn outcomes enqueue. */
export const sink = defineJob({
  ...{ ...common, payload: z.object({ text: z.string().max(1_000) }) },
  name: 'sink',
  retry: once,
})
/** Leaves one row behind. */
export const innocent = defineJob({ ...common, name: 'innocent', retry: thrice })
/** Leaves eight rows behind, one after the other: long enough that others take its worker away from it. */
export const innocentLong = defineJob({ ...common, name: 'innocentLong', retry: thrice })
/** Leaves one row behind, every second. */
const innocentTick = defineJob({
  name: 'innocentTick',
  schedule: { cron: '* * * * * *', overlap: 'allow', missed: 'all' },
  timeoutMs: 10_000,
  retry: thrice,
})

export const hostileJobs = [
  ...([guilty, guiltyAgain, guiltyHasty, guiltyTick, deadly, sink] as const),
  ...([innocent, innocentLong, innocentTick] as const),
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
