import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const lockedWork = defineJob({
  name: 'lockedWork',
  description: 'Ends as its payload says',
  payload: z.object({ pauseMs: z.number(), fails: z.boolean(), hasBatch: z.boolean() }),
  concurrency: 40,
  retry: { limit: 20, delayMs: 1_000, maxDelayMs: 1_000 },
})

const lockedTick = defineJob({
  name: 'lockedTick',
  description: 'Has rows of schedules and ticks to lock',
  schedule: { cron: '* * * * * *' },
})
export const lockedJobs = [lockedWork, lockedTick] as const
