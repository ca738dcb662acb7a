import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const lockedWork = defineJob({
  name: 'lockedWork',
  description: 'Ends as its payload says',
  payload: z.object({ endAt: z.number(), fails: z.boolean(), hasBatch: z.boolean() }),
  concurrency: 40,
  retry: { limit: 20, delayMs: 1_000, maxDelayMs: 1_000 },
})

const schedule = { cron: '* * * * * *' }
export const lockedTick = defineJob({
  name: 'lockedTick',
  description: 'Has rows of schedules and ticks to lock',
  schedule,
})
export const neighbourTick = defineJob({
  name: 'neighbourTick',
  description: 'Has ticks beside a schedule that is locked',
  schedule,
})
export const lockedJobs = [lockedWork, lockedTick, neighbourTick] as const
