import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

/** Ends as its payload says. */
export const lockedWork = defineJob({
  name: 'lockedWork',
  payload: z.object({ endAt: z.number(), fails: z.boolean(), hasBatch: z.boolean() }),
  concurrency: 40,
  retry: { limit: 20, delayMs: 1_000, maxDelayMs: 1_000 },
})

const schedule = { cron: '* * * * * *' }
/** Has rows of schedules and ticks to lock. */
export const lockedTick = defineJob({ name: 'lockedTick', schedule })
/** Has ticks beside a schedule that is locked. */
export const neighbourTick = defineJob({ name: 'neighbourTick', schedule })
export const lockedJobs = [lockedWork, lockedTick, neighbourTick] as const
