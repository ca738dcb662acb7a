import { defineJob } from '@roundsman/engine'

export const pruneJobRuns = defineJob({
  name: 'pruneJobRuns',
  description: 'Removes runs and ticks that are older than they are kept.',
  schedule: { cron: '30 3 * * *' },
  isDestructive: true,
  // Of runs and ticks together. A thirtieth is due each day, and more only once after a day with very many runs.
  // What they tell is nowhere else, so fewer of them are let go unseen.
  guard: { maxShare: 0.5, minRows: 2_000 },
})
