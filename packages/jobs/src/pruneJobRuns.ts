import { defineJob } from '@roundsman/runtime/contract'

export const pruneJobRuns = defineJob({
  name: 'pruneJobRuns',
  description: 'Removes runs and ticks that are older than they are kept.',
  schedule: { cron: '30 3 * * *' },
})
