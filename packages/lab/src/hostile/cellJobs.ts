import { defineJob } from '@roundsman/engine'

// Disturbing the database may cost attempts; only how the work ends counts.
const retry = { limit: 20, delayMs: 1_000, maxDelayMs: 1_000 }

export const cellTick = defineJob({
  name: 'cellTick',
  description: 'Every second',
  schedule: { cron: '* * * * * *', timeZone: 'Europe/Berlin' },
  retry,
})

export const counts = defineJob({ name: 'counts', description: 'Counts three batches', retry })

export const fails = defineJob({ name: 'fails', description: 'Fails at first', retry })

export const waits = defineJob({ name: 'waits', description: 'Waits to be cancelled', retry })

export const foreign = defineJob({
  name: 'foreign',
  description: 'Returns what not every encoding has',
  retry: { limit: 0 },
})

export const cellJobs = [cellTick, counts, fails, waits, foreign] as const
